"""Sign-in of people by OpenID Connect, or as one of the embedded stack's demo people; sessions."""
