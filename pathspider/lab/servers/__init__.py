"""The servers of the lab: small, answering on every address, told apart by the address that is asked."""
