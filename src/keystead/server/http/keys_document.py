"""What the OpenAPI document says of /v1/keys/{key}."""

ITEM: dict[str, object] = {}
COLLECTION: dict[str, object] = {}
