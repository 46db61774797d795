"""Who may ask this service, and for what: keys made here, and tokens of the hospital's own sign-on (OpenID Connect)."""
