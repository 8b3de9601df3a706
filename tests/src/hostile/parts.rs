//! The parts of hostile requests. Each writes a text of about the size that the caller wants.

use super::Part;

const ID: &str = "2819c223-7f76-453a-919d-413861904646";

/// Joins items until the text has this many bytes.
fn items(bytes: usize, between: &str, item: impl Fn(usize) -> String) -> String {
    let mut out = item(0);
    let mut number = 1;
    while out.len() < bytes {
        out.push_str(between);
        out.push_str(&item(number));
        number += 1;
    }
    out
}

/// A member with an array of items.
fn array(name: &str, bytes: usize, item: impl Fn(usize) -> String) -> String {
    format!(r#""{name}":[{}]"#, items(bytes, ",", item))
}

/// At most 300 operations, so that three parts have at most 900. Each has a text that fills it up.
fn operations(bytes: usize, operation: impl Fn(usize, &str) -> String) -> String {
    let count = (bytes / 150).clamp(1, 300);
    let filler = "x".repeat((bytes / count).saturating_sub(150));
    (0..count).map(|number| operation(number, &filler)).collect::<Vec<_>>().join(",")
}

/// The id of a resource.
fn id(number: usize) -> String {
    format!("2819c223-7f76-453a-919d-{number:012x}")
}

/// A name with a different mix of upper and lower case for each number.
fn in_any_case(name: &str, number: usize) -> String {
    let is_upper = |position: usize| (number >> (position % 20)) & 1 == 1;
    name.chars()
        .enumerate()
        .map(|(position, c)| if is_upper(position) { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
        .collect()
}

pub const RESOURCE: &[Part] = &[
    Part {
        name: "deep arrays",
        text: |bytes| {
            items(bytes, ",", |number| format!(r#""a{number}":{}0{}"#, "[".repeat(100), "]".repeat(100)))
        },
    },
    Part { name: "zeros", text: |bytes| array("x", bytes, |_| "0".to_owned()) },
    Part { name: "empty objects", text: |bytes| array("x", bytes, |_| "{}".to_owned()) },
    Part { name: "small objects", text: |bytes| array("x", bytes, |_| r#"{"":0}"#.to_owned()) },
    Part { name: "a long text", text: |bytes| format!(r#""title":"{}""#, "X".repeat(bytes)) },
    Part { name: "escapes", text: |bytes| format!(r#""title":"{}""#, "\\u00E9".repeat(bytes / 6)) },
    Part {
        name: "combining marks",
        text: |bytes| format!(r#""nickName":"e{}""#, "\u{301}\u{316}".repeat(bytes / 4)),
    },
    Part { name: "a long number", text: |bytes| format!(r#""x":{}.5"#, "1".repeat(bytes)) },
    Part { name: "a long name", text: |bytes| format!(r#""{}":0"#, "x".repeat(bytes)) },
    Part { name: "one name", text: |bytes| items(bytes, ",", |_| r#""title":"x""#.to_owned()) },
    Part {
        name: "one name in any case",
        text: |bytes| items(bytes, ",", |number| format!(r#""{}":"x""#, in_any_case("profileUrl", number))),
    },
    Part { name: "unknown names", text: |bytes| items(bytes, ",", |number| format!(r#""x{number}":0"#)) },
    Part {
        name: "values",
        text: |bytes| array("entitlements", bytes, |number| format!(r#"{{"value":"{number}"}}"#)),
    },
    Part {
        name: "types of one value",
        text: |bytes| array("entitlements", bytes, |number| format!(r#"{{"value":"a","type":"{number}"}}"#)),
    },
    Part {
        name: "one attribute in any case",
        text: |bytes| {
            items(bytes, ",", |number| {
                format!(r#""{}":[{{"value":"a"}}]"#, in_any_case("entitlements", number))
            })
        },
    },
    Part {
        name: "members",
        text: |bytes| array("members", bytes, |number| format!(r#"{{"value":"{}"}}"#, id(number))),
    },
    Part {
        name: "members with a display",
        text: |bytes| {
            array("members", bytes, |number| format!(r#"{{"value":"{}","display":"x"}}"#, id(number)))
        },
    },
    Part { name: "URNs", text: |bytes| array("schemas", bytes, |number| format!(r#""urn:x:{number}""#)) },
    Part {
        name: "extensions",
        text: |bytes| {
            items(bytes, ",", |_| {
                r#""urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"x"}"#
                    .to_owned()
            })
        },
    },
    Part {
        name: "a long certificate",
        text: |bytes| format!(r#""x509Certificates":[{{"value":"{}"}}]"#, "AAAA".repeat(bytes / 4)),
    },
];

pub const USER_PATCH: &[Part] = &[
    Part {
        name: "JSON in a string",
        text: |bytes| {
            let objects = items(bytes, ",", |_| "{}".to_owned());
            format!(r#"{{"op":"add","path":"emails","value":"[{objects}]"}}"#)
        },
    },
    Part {
        name: "JSON in many strings",
        text: |bytes| {
            // Most of the text is zeros, at every size.
            let zeros = items((bytes / 20).saturating_sub(40), ",", |_| "0".to_owned());
            vec![format!(r#"{{"op":"add","value":"{{\"x\":[{zeros}]}}"}}"#); 20].join(",")
        },
    },
    Part {
        name: "added values",
        text: |bytes| {
            let values = array("value", bytes, |number| format!(r#"{{"value":"{number}"}}"#));
            format!(r#"{{"op":"add","path":"entitlements",{values}}}"#)
        },
    },
    Part {
        name: "added types of one value",
        text: |bytes| {
            let values = array("value", bytes, |number| format!(r#"{{"value":"a","type":"{number}"}}"#));
            format!(r#"{{"op":"add","path":"entitlements",{values}}}"#)
        },
    },
    Part {
        name: "added values without a value",
        text: |bytes| {
            let values = array("value", bytes, |number| format!(r#"{{"streetAddress":"{number}"}}"#));
            format!(r#"{{"op":"add","path":"addresses",{values}}}"#)
        },
    },
    Part {
        name: "additions",
        text: |bytes| {
            operations(bytes, |number, filler| {
                format!(
                    r#"{{"op":"add","path":"entitlements","value":{{"value":"{number}","display":"{filler}"}}}}"#
                )
            })
        },
    },
    Part {
        name: "replacements by a filter",
        text: |bytes| {
            operations(bytes, |number, filler| {
                format!(
                    r#"{{"op":"replace","path":"entitlements[value eq \"{number}\"].display","value":"{filler}"}}"#
                )
            })
        },
    },
    Part {
        name: "replacements in all values",
        text: |bytes| {
            operations(bytes, |_, filler| {
                format!(r#"{{"op":"replace","path":"entitlements.display","value":"{filler}"}}"#)
            })
        },
    },
    Part {
        name: "replacements of one text",
        text: |bytes| {
            operations(bytes, |_, filler| {
                format!(r#"{{"op":"replace","path":"name.formatted","value":"{filler}"}}"#)
            })
        },
    },
    Part {
        name: "removed values",
        text: |bytes| {
            let values = array("value", bytes, |number| format!(r#"{{"value":"{number}"}}"#));
            format!(r#"{{"op":"remove","path":"entitlements",{values}}}"#)
        },
    },
    Part {
        name: "removed types",
        text: |bytes| {
            let values = array("value", bytes, |number| format!(r#"{{"type":"{number}"}}"#));
            format!(r#"{{"op":"remove","path":"entitlements",{values}}}"#)
        },
    },
    Part {
        name: "comparisons",
        text: |bytes| {
            let filter = items(bytes.min(60_000), " or ", |number| format!(r#"value eq \"{number}\""#));
            format!(r#"{{"op":"remove","path":"entitlements[{filter}]"}}"#)
        },
    },
    Part {
        name: "a long path",
        text: |bytes| format!(r#"{{"op":"remove","path":"entitlements[{}"}}"#, " ".repeat(bytes)),
    },
    Part {
        name: "names that are paths",
        text: |bytes| {
            let values =
                items(bytes, ",", |number| format!(r#""entitlements[value eq \"{number}\"].display":"x""#));
            format!(r#"{{"op":"add","value":{{{values}}}}}"#)
        },
    },
    Part {
        name: "one name in any case",
        text: |bytes| {
            let values =
                items(bytes, ",", |number| format!(r#""{}":"x""#, in_any_case("name.givenName", number)));
            format!(r#"{{"op":"add","value":{{{values}}}}}"#)
        },
    },
    Part {
        name: "unknown names",
        text: |bytes| {
            let values = items(bytes, ",", |number| format!(r#""x{number}":0"#));
            format!(r#"{{"op":"add","value":{{{values}}}}}"#)
        },
    },
    Part {
        name: "unknown members of an operation",
        text: |bytes| {
            let members = items(bytes, ",", |number| format!(r#""x{number}":0"#));
            format!(r#"{{{members},"OP":"remove","PATH":"title"}}"#)
        },
    },
];

pub const GROUP_PATCH: &[Part] = &[
    Part {
        name: "added members",
        text: |bytes| {
            let values = array("value", bytes, |number| format!(r#"{{"value":"{}"}}"#, id(number)));
            format!(r#"{{"op":"add","path":"members",{values}}}"#)
        },
    },
    Part {
        name: "removed members",
        text: |bytes| {
            let values = array("value", bytes, |number| format!(r#"{{"value":"{}"}}"#, id(number)));
            format!(r#"{{"op":"remove","path":"members",{values}}}"#)
        },
    },
    Part {
        name: "members in a filter",
        text: |bytes| {
            let filter = items(bytes.min(60_000), " or ", |number| format!(r#"value eq \"{}\""#, id(number)));
            format!(r#"{{"op":"remove","path":"members[{filter}]"}}"#)
        },
    },
    Part {
        name: "removals by a filter",
        text: |bytes| {
            operations(bytes, |number, filler| {
                format!(r#"{{"op":"remove","path":"members[display eq \"{number}{filler}\"]"}}"#)
            })
        },
    },
    Part {
        name: "new names",
        text: |bytes| {
            operations(bytes, |_, filler| {
                format!(r#"{{"op":"replace","path":"displayName","value":"x{filler}"}}"#)
            })
        },
    },
];

pub const SEARCH: &[Part] = &[
    Part { name: "one attribute", text: |bytes| array("attributes", bytes, |_| r#""id""#.to_owned()) },
    Part {
        name: "one excluded attribute",
        text: |bytes| array("excludedAttributes", bytes, |_| r#""emails""#.to_owned()),
    },
    Part {
        name: "attributes in a text",
        text: |bytes| format!(r#""attributes":"{}""#, items(bytes, ",", |_| "userName".to_owned())),
    },
    Part {
        name: "unknown attributes",
        text: |bytes| array("attributes", bytes, |number| format!(r#""urn:x:{number}""#)),
    },
    Part { name: "a long attribute", text: |bytes| format!(r#""attributes":["{}"]"#, "x".repeat(bytes)) },
    Part {
        name: "comparisons",
        text: |bytes| {
            format!(
                r#""filter":"{}""#,
                items(bytes.min(8_000), " or ", |number| format!(r#"emails co \"{number}\""#))
            )
        },
    },
    Part { name: "a long filter", text: |bytes| format!(r#""filter":"{}""#, "(".repeat(bytes)) },
    Part { name: "a long sortBy", text: |bytes| format!(r#""sortBy":"{}""#, "x".repeat(bytes)) },
    Part { name: "unknown names", text: |bytes| items(bytes, ",", |number| format!(r#""x{number}":0"#)) },
];

pub const QUERY: &[Part] = &[
    Part {
        name: "one attribute",
        text: |bytes| format!("attributes={}", items(bytes, ",", |_| "id".to_owned())),
    },
    Part { name: "parameters", text: |bytes| items(bytes, "&", |number| format!("filter=x{number}")) },
    Part { name: "encoded characters", text: |bytes| format!("sortBy={}", "%20".repeat(bytes / 3)) },
    Part {
        name: "comparisons",
        text: |bytes| {
            let filter = items(bytes.min(8_000), "+or+", |number| format!("emails+co+%22{number}%22"));
            format!("filter={filter}")
        },
    },
    Part { name: "nested parentheses", text: |bytes| format!("filter={}", "(".repeat(bytes)) },
];

pub const BULK: &[Part] = &[
    Part {
        name: "managers",
        text: |bytes| {
            operations(bytes, |number, filler| {
                format!(
                    r#"{{"method":"POST","path":"/Users","bulkId":"m{number}","data":{{"userName":"m{number}{filler}","manager":"bulkId:m{}"}}}}"#,
                    number + 1
                )
            })
        },
    },
    Part {
        name: "references in an array",
        text: |bytes| {
            let members = array("members", bytes, |_| r#"{"value":"bulkId:a"}"#.to_owned());
            format!(
                r#"{{"method":"POST","path":"/Users","bulkId":"a","data":{{"userName":"a"}}}},{{"method":"POST","path":"/Groups","bulkId":"g","data":{{"displayName":"g",{members}}}}}"#
            )
        },
    },
    Part {
        name: "references in a text",
        text: |bytes| {
            let filter = items(bytes, " or ", |number| format!(r#"value eq \"bulkId:m{}\""#, number % 100));
            format!(
                r#"{{"method":"PATCH","path":"/Groups/{ID}","data":{{"Operations":[{{"op":"remove","path":"members[{filter}]"}}]}}}}"#
            )
        },
    },
    Part {
        name: "users of one name",
        text: |bytes| {
            operations(bytes, |number, filler| {
                format!(
                    r#"{{"method":"POST","path":"/Users","bulkId":"n{number}","data":{{"userName":"ann","title":"{filler}"}}}}"#
                )
            })
        },
    },
    Part {
        name: "changes of one user",
        text: |bytes| {
            operations(bytes, |_, filler| {
                format!(
                    r#"{{"method":"PUT","path":"/Users/{ID}","data":{{"userName":"x","title":"{filler}"}}}}"#
                )
            })
        },
    },
    Part {
        name: "mentions of many ids",
        text: |bytes| {
            let members = array("members", bytes, |number| format!(r#"{{"value":"{}"}}"#, id(number)));
            format!(r#"{{"method":"PUT","path":"/Groups/{ID}","data":{{"displayName":"g",{members}}}}}"#)
        },
    },
    Part {
        name: "changes of many users",
        text: |bytes| {
            operations(bytes, |number, _| format!(r#"{{"method":"DELETE","path":"/Users/{}"}}"#, id(number)))
        },
    },
    Part {
        name: "slashes",
        text: |bytes| format!(r#"{{"method":"PUT","path":"{}"}}"#, "/x".repeat(bytes / 2)),
    },
    Part {
        name: "unknown members of an operation",
        text: |bytes| {
            let members = items(bytes, ",", |number| format!(r#""x{number}":0"#));
            format!(r#"{{{members},"METHOD":"DELETE","PATH":"/Users/{ID}"}}"#)
        },
    },
];

pub const HEADERS: &[Part] = &[
    Part { name: "entity tags", text: |bytes| items(bytes, ",", |number| format!("W/\"{number}\"")) },
    Part { name: "a long password", text: |bytes| format!("Basic {}", "Ojo6".repeat(bytes / 4)) },
    Part { name: "a long token", text: |bytes| format!("Bearer {}", "x".repeat(bytes)) },
];
