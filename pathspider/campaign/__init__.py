"""One measurement over many vantage points, in chunks that outlive who measures them: :doc:`/campaign`."""
