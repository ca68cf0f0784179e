"""Who sits at the browser: sign-in by OpenID Connect, or as one of the embedded stack's demo people; sessions."""
