"""Names to addresses, many at once: what is asked of whom and when, apart from the sockets. :rfc:`1034`, :rfc:`5452`"""
