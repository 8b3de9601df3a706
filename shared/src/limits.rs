//! The limits of a request: how large its parts can be, and how much work it can cause. With them, the time and the
//! memory of a request are bounded.

/// The maximum number of JSON values and names in a body. A group with 100,000 members is below it. A value takes up
/// to 300 bytes of memory, and as little as 2 bytes of the body.
pub const MAX_JSON_VALUES: usize = 320_000;
/// The maximum number of values of an attribute in a document. A document with more does not fit into the table.
/// Members of a group are not part of the document, so they do not count.
pub const MAX_ATTRIBUTE_VALUES: usize = 25_000;

/// The maximum length of a filter, in bytes.
pub const MAX_FILTER_BYTES: usize = 8 * 1024;
/// The maximum depth of nested parentheses and brackets in a filter.
pub const MAX_FILTER_DEPTH: usize = 32;

/// The maximum number of names in `attributes` or `excludedAttributes`.
pub const MAX_ATTRIBUTE_NAMES: usize = 10_000;

/// The maximum number of operations in a PATCH.
pub const MAX_PATCH_OPERATIONS: usize = 1_000;
/// The maximum length of the path of a PATCH operation, in bytes. It can have a filter that names many members.
pub const MAX_PATCH_PATH_BYTES: usize = 64 * 1024;
/// The maximum number of attributes that the operations of a PATCH name, and of comparisons in its value filters. An
/// operation without a path can name many attributes.
pub const MAX_PATCH_TARGETS: usize = 20_000;
/// The maximum number of values that the operations of a PATCH visit. An operation on an attribute with many values
/// visits each of them once for each comparison of its filter. A text counts once for each 64 bytes.
pub const MAX_PATCH_VISITS: usize = 10_000_000;
/// The maximum number of bytes that one operation of a PATCH copies into several elements of an attribute.
pub const MAX_PATCH_COPIED_BYTES: usize = 1024 * 1024;

/// The maximum number of operations in a Bulk request.
pub const MAX_BULK_OPERATIONS: usize = 1_000;
/// The maximum size of the body of a Bulk request, in bytes.
pub const MAX_BULK_BYTES: usize = 1_048_576;

/// The maximum number of custom schemas of a connector. Each is read with the connector.
pub const MAX_CUSTOM_SCHEMAS: usize = 10;
/// The maximum size of the file of a custom schema, in bytes.
pub const MAX_CUSTOM_SCHEMA_BYTES: usize = 64 * 1024;
/// The maximum length of the URN of a custom schema, in bytes. Keys of the table contain it.
pub const MAX_CUSTOM_URN_BYTES: usize = 200;
/// The maximum number of attributes and sub-attributes of a custom schema.
pub const MAX_CUSTOM_ATTRIBUTES: usize = 100;
/// The maximum number of indexes of a custom schema. Each value in an index is an item of the transaction that writes it.
pub const MAX_CUSTOM_INDEXES: usize = 5;

/// The maximum length of the detail of an error, in bytes. It can repeat what the client sent.
pub const MAX_DETAIL_BYTES: usize = 2_000;
