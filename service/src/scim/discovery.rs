//! The handlers of /ServiceProviderConfig, /ResourceTypes and /Schemas (RFC 7644 §4, RFC 7643 §5–§7).

use directory::feeds::EVENT_URIS;
use directory::query::cursor::CURSOR_TIMEOUT_SECONDS;
use http::StatusCode;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use shared::error::{ErrorKind, Schemes, ScimError};
use shared::limits::{MAX_BULK_BYTES, MAX_BULK_OPERATIONS};
use shared::message::{DEFAULT_PAGE_SIZE, ListResponse, MAX_PAGE_SIZE};
use shared::resource::ResourceKind;

use crate::call::{PublicCall, ResponseFuture};
use crate::response::{Response, json as json_response, with_location};

/// GET /ServiceProviderConfig
pub fn service_provider_config(call: PublicCall) -> ResponseFuture {
    Box::pin(async move {
        reject_filter(&call)?;
        let mut config = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": { "supported": true },
            "bulk": {
                "supported": true,
                "maxOperations": MAX_BULK_OPERATIONS,
                "maxPayloadSize": MAX_BULK_BYTES
            },
            "filter": { "supported": true, "maxResults": MAX_PAGE_SIZE },
            "changePassword": { "supported": false },
            "sort": { "supported": true },
            "etag": { "supported": true },
            "pagination": {
                "cursor": true,
                "index": true,
                "defaultPaginationMethod": "index",
                "defaultPageSize": DEFAULT_PAGE_SIZE,
                "maxPageSize": MAX_PAGE_SIZE,
                "cursorTimeout": CURSOR_TIMEOUT_SECONDS
            },
            "authenticationSchemes": authentication_schemes(call.schemes),
            "meta": meta(&call, "ServiceProviderConfig", "ServiceProviderConfig"),
        });
        if let Some(config) = config.as_object_mut().filter(|_| call.schemas.is_strict()) {
            // draft-zollner-scim-interop-profile-02 §4: a service provider that conforms says so.
            config.insert("interopProfileConformant".into(), true.into());
        }
        if let Some(config) = config.as_object_mut().filter(|_| call.has_feeds) {
            // RFC 9967 §4. A function cannot go on after its response, so no request is carried out later.
            let events = json!({ "asyncRequest": "none", "eventUris": EVENT_URIS });
            config.insert("securityEvents".into(), events);
        }
        resource_response(&config)
    })
}

/// The authentication schemes, the primary one first (RFC 7643 §5).
fn authentication_schemes(schemes: Schemes) -> Vec<Value> {
    let basic = json!({
        "type": "httpbasic",
        "name": "HTTP Basic",
        "description": "The connector's username and password",
        "specUri": "https://www.rfc-editor.org/info/rfc7617",
    });
    let bearer = json!({
        "type": "oauthbearertoken",
        "name": "Bearer token",
        "description": "The connector's token",
        "specUri": "https://www.rfc-editor.org/info/rfc6750",
    });
    let oauth = json!({
        "type": "oauth2",
        "name": "OAuth 2.0",
        "description": "A token of the connector's token endpoint, for the client credentials grant",
        "specUri": "https://www.rfc-editor.org/info/rfc6749",
    });
    let all = [(schemes.basic, basic), (schemes.bearer, bearer), (schemes.oauth, oauth)];
    let available = all.into_iter().filter(|(is_available, _)| *is_available).map(|(_, scheme)| scheme);
    available
        .enumerate()
        .map(|(position, mut scheme)| {
            if let Some(members) = scheme.as_object_mut() {
                members.insert("primary".into(), (position == 0).into());
            }
            scheme
        })
        .collect()
}

/// GET /ResourceTypes
pub fn resource_types(call: PublicCall) -> ResponseFuture {
    Box::pin(async move {
        reject_filter(&call)?;
        list_response(&[
            resource_type_json(&call, ResourceKind::User)?,
            resource_type_json(&call, ResourceKind::Group)?,
        ])
    })
}

/// GET /ResourceTypes/{id}
pub fn resource_type(call: PublicCall) -> ResponseFuture {
    Box::pin(async move {
        reject_filter(&call)?;
        let id = last_segment(&call);
        let kind = [ResourceKind::User, ResourceKind::Group].into_iter().find(|kind| kind.name() == id);
        resource_response(&resource_type_json(&call, kind.ok_or_else(|| ScimError::not_found(id))?)?)
    })
}

/// GET /Schemas
pub fn schemas(call: PublicCall) -> ResponseFuture {
    Box::pin(async move {
        reject_filter(&call)?;
        let schemas = call.schemas.schemas.iter();
        list_response(
            &schemas
                .map(|schema| to_resource(&call, "Schema", "Schemas", &schema.id, schema))
                .collect::<Result<Vec<_>, _>>()?,
        )
    })
}

/// GET /Schemas/{id}
pub fn schema(call: PublicCall) -> ResponseFuture {
    Box::pin(async move {
        reject_filter(&call)?;
        let id = last_segment(&call);
        let schema = call.schemas.schemas.iter().find(|schema| schema.id.eq_ignore_ascii_case(id));
        let schema = schema.ok_or_else(|| ScimError::not_found(id))?;
        resource_response(&to_resource(&call, "Schema", "Schemas", &schema.id, schema)?)
    })
}

fn resource_type_json(call: &PublicCall, kind: ResourceKind) -> Result<Value, ScimError> {
    let resource_type = &call.schemas.of(kind).resource_type;
    to_resource(call, "ResourceType", "ResourceTypes", &resource_type.id, resource_type)
}

/// Writes a schema or resource type as a resource, with `schemas` as its first member and `meta` as its last.
fn to_resource(
    call: &PublicCall,
    kind: &str,
    endpoint: &str,
    id: &str,
    value: &impl Serialize,
) -> Result<Value, ScimError> {
    let mut resource = json!({ "schemas": [format!("urn:ietf:params:scim:schemas:core:2.0:{kind}")] });
    if let (Some(resource), Value::Object(members)) =
        (resource.as_object_mut(), serde_json::to_value(value).map_err(ScimError::internal)?)
    {
        resource.extend(members);
        resource.insert("meta".into(), meta(call, kind, &format!("{endpoint}/{id}")));
    }
    Ok(resource)
}

fn meta(call: &PublicCall, kind: &str, path: &str) -> Value {
    json!({ "resourceType": kind, "location": format!("{}/{path}", call.base_url) })
}

fn resource_response(resource: &Value) -> Result<Response, ScimError> {
    let location = resource.pointer("/meta/location").and_then(Value::as_str).unwrap_or_default();
    Ok(with_location(json_response(StatusCode::OK, resource)?, location))
}

fn list_response(resources: &[Value]) -> Result<Response, ScimError> {
    let resources: Vec<Box<RawValue>> =
        resources.iter().map(to_raw_value).collect::<Result<_, _>>().map_err(ScimError::internal)?;
    json_response(StatusCode::OK, &ListResponse::by_index(resources.len(), 1, &resources))
}

fn last_segment(call: &PublicCall) -> &str {
    call.path.last().map(String::as_str).unwrap_or_default()
}

/// RFC 7644 §4: a filter on these endpoints is 403. A client could otherwise take all resources for the
/// result of its filter.
fn reject_filter(call: &PublicCall) -> Result<(), ScimError> {
    if call.request.query.iter().any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
        return Err(ScimError::new(
            ErrorKind::Forbidden,
            "This endpoint does not support filters (RFC 7644 §4)",
        ));
    }
    Ok(())
}
