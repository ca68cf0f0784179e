"""Where to sign in for our API: OAuth 2.0 Protected Resource Metadata (RFC 9728). Pure.

https://www.rfc-editor.org/rfc/rfc9728
"""

from typing import Any

from shared.runtime.oidc.settings import OidcSettings


def protected_resource(settings: OidcSettings, resource: str) -> dict[str, Any]:
    """Return the metadata of the API at `resource`, its origin as the caller reaches it.

    Members `countersign_…` are ours (section 2 allows more members); they are left out where they are not set.
    """
    ours = {"countersign_cli_client_id": settings.cli_client_id, "countersign_cli_resource": settings.cli_resource}
    return {
        "resource": resource,
        "authorization_servers": [settings.issuer],
        "scopes_supported": settings.cli_scope.split(),
        "bearer_methods_supported": ["header"],
        "resource_name": "Countersign",
        **{name: value for name, value in ours.items() if value},
    }
