"""OpenID Connect: people sign in by authorization code with PKCE, machines by JWTs of the same issuer.

https://openid.net/specs/openid-connect-core-1_0.html, https://www.rfc-editor.org/rfc/rfc9068, rfc7636
"""

from shared.runtime.oidc.provider import OidcProvider as OidcProvider
from shared.runtime.oidc.provider import SignInResult as SignInResult
from shared.runtime.oidc.settings import OidcSettings as OidcSettings
