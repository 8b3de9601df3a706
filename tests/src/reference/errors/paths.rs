//! Errors with the status 400 in filters, paths, and pages.

use shared::error::ErrorKind;

use super::Group;

pub const GROUPS: &[Group] = &[
    Group {
        kind: ErrorKind::InvalidFilter,
        errors: &[
            (
                "Position {position} of the filter: found {found}, expected {expected}",
                "The filter is not as in RFC 7644 §3.4.2.2",
                "Correct it at this position. Values of text are in double quotes",
            ),
            (
                "The filter is {bytes} bytes; the maximum is {maximum}",
                "The filter is too long",
                "Send several requests",
            ),
            (
                "The filter is nested deeper than the maximum of {levels} levels",
                "The filter has too many brackets",
                "Write it with fewer",
            ),
            (
                "A {type} has no attribute {path}",
                "No schema defines the attribute",
                "Correct the name, or add a custom schema",
            ),
            (
                "{name} has no sub-attribute {path}",
                "The attribute has other sub-attributes",
                "Correct the name",
            ),
            (
                "{path} is not a complex attribute; it cannot have a filter in brackets",
                "A filter such as `title[…]` is on an attribute with one simple value",
                "Compare the attribute itself",
            ),
            (
                "{path} is a complex attribute; compare one of its sub-attributes",
                "A filter compares an object",
                "Name a sub-attribute, such as `name.familyName`",
            ),
            (
                "{path} is a schema; name one of its attributes",
                "The filter has only a URN",
                "Add the attribute",
            ),
            (
                "{path} cannot be used in a filter, because it is never returned",
                "The attribute is a secret, such as `password`",
                "Filter on another attribute",
            ),
            (
                "{path} {operator} null is not supported; compare with null using eq or ne",
                "The filter orders by null",
                "Use `eq null`, `ne null` or `pr`",
            ),
            (
                "{path} {operator} {value}: compare {path} with {expected}",
                "The value has another type than the attribute",
                "Correct the value",
            ),
            (
                "email cannot be filtered, because the attribute {path} that the mapping uses for it is not indexed",
                "Directory API: `mapping.email` names an attribute without an index",
                "Filter by `username`, or map an indexed attribute",
            ),
            (
                "The filter selects {number} elements of {name}; it must select one",
                "The connector is `strict`, and a PATCH path selects several elements",
                "Use a filter that selects one",
            ),
        ],
    },
    Group {
        kind: ErrorKind::InvalidPath,
        errors: &[
            (
                "{path} is not an attribute path",
                "`path` of a PATCH operation, or a setting of `mapping.`, is malformed",
                "Correct it: `emails[type eq \"work\"].value`",
            ),
            (
                "A {type} has no attribute {path}",
                "No schema defines the attribute",
                "Correct the mapping of the client, or add a custom schema",
            ),
            (
                "{path}: {error}",
                "The filter in the brackets of the path is wrong",
                "Correct it. The text has the position",
            ),
            (
                "{path}: found {text} after the brackets, expected \".\" or the end",
                "After the brackets is something else than a sub-attribute",
                "Correct it",
            ),
            (
                "{path}: only a complex attribute can have a filter",
                "The attribute has simple values",
                "Leave out the brackets",
            ),
            ("path is {bytes} bytes; the maximum is {maximum}", "The path is too long", "Send a shorter one"),
            (
                "The path has a filter; to add members, use the path members",
                "`add` has the path `members[…]`",
                "Send the path `members` and the members as value",
            ),
            (
                "Resources cannot be sorted by {path}; use a readable attribute with simple values, such as displayName",
                "`sortBy` names a complex or secret attribute",
                "Sort by another attribute",
            ),
            (
                "sortBy is {path}; it must be an attribute path, such as name.familyName",
                "`sortBy` is malformed",
                "Correct it",
            ),
            (
                "sortBy is {path}; the queried resources have no such attribute",
                "No schema defines the attribute",
                "Correct it",
            ),
            (
                "{path}: only an attribute with several values can have a filter",
                "The connector is `strict`",
                "Leave out the brackets, or set `strict=false`",
            ),
            (
                "{path}: name a sub-attribute after the filter, such as .value",
                "The connector is `strict`",
                "Name the sub-attribute, or set `strict=false`",
            ),
            (
                "{path} does not name an attribute of a {type}",
                "A setting of `mapping.` names an unknown attribute",
                "Correct it",
            ),
            (
                "{path} is generated for each response; name an attribute that is stored",
                "A setting of `mapping.` names `id`, `meta` or `groups`",
                "Name another attribute",
            ),
            (
                "{path} is never returned; name another attribute",
                "A setting of `mapping.` names a secret",
                "Name another attribute",
            ),
            (
                "{path} is not text; name a text attribute, such as emails.value",
                "A setting of `mapping.` names an attribute of another type",
                "Name a text attribute",
            ),
        ],
    },
    Group {
        kind: ErrorKind::NoTarget,
        errors: &[
            ("remove requires a path", "RFC 7644 §3.5.2.2", "Send `path`"),
            (
                "No element of {name} matches the filter; to create one, use a filter of eq comparisons",
                "The filter of a PATCH path selects nothing, and Rollcall cannot make an element of it",
                "Use `eq`, or add the element",
            ),
            (
                "The value of {name} does not match the filter",
                "The filter of a path on an attribute with one value is false",
                "Read the resource, and correct the filter",
            ),
            (
                "The filter matches no member, and does not name one by its value",
                "A PATCH path selects members by another sub-attribute, and none has it",
                "Select by `value`",
            ),
        ],
    },
    Group {
        kind: ErrorKind::Mutability,
        errors: &[
            (
                "{name} is read-only",
                "The client changes `id`, `meta` or `groups`",
                "Leave it out. The groups of a user change by a PATCH of the group",
            ),
            (
                "{name} is required and cannot be removed",
                "The client removes `userName` or `displayName`",
                "Replace it",
            ),
            (
                "{name} is immutable and already has a value",
                "The schema lets the attribute be set once",
                "Leave it out",
            ),
            (
                "The sub-attributes of a member are immutable; remove the member and add it with other values",
                "A PATCH changes `members[…].type` or the like",
                "Remove the member, and add it again",
            ),
        ],
    },
    Group {
        kind: ErrorKind::TooMany,
        errors: &[
            (
                "The query would read all {number} resources; the maximum is {maximum}. Filter on an indexed attribute, using eq, sw or gt",
                "The filter has no indexed attribute, and the directory is large",
                "Filter on an [indexed attribute](../operate/limits.md#the-directory-of-a-connector)",
            ),
            (
                "The query would sort {number} resources; the maximum is {maximum}. Use a filter that matches fewer",
                "`sortBy` with too many results",
                "Use a filter, or leave out `sortBy`",
            ),
            (
                "The resource is larger than {bytes} bytes, the maximum of a response; ask with excludedAttributes=members",
                "A group with very many members",
                "Ask with `excludedAttributes=members`, accept gzip, or use the directory API",
            ),
            (
                "Entry {id} is larger than {bytes} bytes, the maximum of a response",
                "Directory API: a user is in very many groups",
                "Read the groups instead",
            ),
        ],
    },
    Group {
        kind: ErrorKind::InvalidCursor,
        errors: &[(
            "The cursor is not valid for this query; request the first page again",
            "The cursor is of another query, or was changed",
            "Ask without a cursor",
        )],
    },
    Group {
        kind: ErrorKind::ExpiredCursor,
        errors: &[(
            "The cursor is older than {seconds} seconds, the maximum; request the first page again",
            "More than an hour passed between two pages",
            "Ask without a cursor",
        )],
    },
    Group {
        kind: ErrorKind::InvalidCount,
        errors: &[
            (
                "count is {number}; with a cursor it must be from 1 to {maximum}",
                "RFC 9865 §2.1",
                "Correct `count`",
            ),
            (
                "count is {number}; it must be {number}, as on the first page",
                "`count` differs from that of the first page",
                "Send the same `count` for all pages",
            ),
        ],
    },
];
