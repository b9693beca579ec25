//! The service's shape of an error.

use serde_json::json;

use crate::util::unix_time::now_ms;

/// Returns an error body of the service's shape (connection spec §3.1).
pub(crate) fn error_body(error: &str, description: &str) -> String {
    let exception = match error {
        "duplicate_unique_property_exists" => {
            "org.apache.usergrid.persistence.exceptions.DuplicateUniquePropertyExistsException"
        }
        "illegal_argument" => "java.lang.IllegalArgumentException",
        "organization_application_not_found" => "OrganizationApplicationNotFoundException",
        "service_resource_not_found" => "ServiceResourceNotFoundException",
        "json_parse" => "JsonParseException",
        _ => "EasemobSecurityException",
    };
    json!({
        "error": error, "exception": exception, "timestamp": now_ms(), "duration": 0, "error_description": description,
    })
    .to_string()
}
