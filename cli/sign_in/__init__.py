"""Sign in to an installation from the command line: OAuth 2.0 Device Authorization Grant (RFC 8628), and renewal."""
