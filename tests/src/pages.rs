//! Reads list responses of `/Users`: one page, or all pages by cursor (RFC 7644 §3.4.2, RFC 9865).

use serde_json::Value;

use crate::client::Client;

/// More pages than this mean that the cursors never end.
const MAX_PAGES: usize = 1_000;

/// Reads one page of users.
///
/// # Panics
/// When the answer is not 200.
pub async fn read_page(client: &Client, query: &str) -> Value {
    let reply = client.get(&format!("/Users?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", String::from_utf8_lossy(&reply.plain_body()));
    reply.json()
}

/// The ids of the resources of a page, in the order of the page.
///
/// # Panics
/// When the page is not a list response.
pub fn ids_of(page: &Value) -> Vec<String> {
    texts_of(page, "id")
}

/// The values of one attribute of all resources of a page, in the order of the page.
///
/// # Panics
/// When the page is not a list response, or a resource lacks the attribute.
pub fn texts_of(page: &Value, attribute: &str) -> Vec<String> {
    let resources = page["Resources"].as_array().expect("a list response has resources");
    resources
        .iter()
        .map(|resource| {
            let text = resource[attribute].as_str();
            text.unwrap_or_else(|| panic!("{attribute} is not a string in {resource}")).to_owned()
        })
        .collect()
}

/// Reads all pages by cursor and returns the ids in the order of the pages. `after_page` runs after each
/// page.
///
/// # Panics
/// When a page is refused, a cursor contains a character that a URL reserves (RFC 9865 §2), or there are more
/// than 1,000 pages.
pub async fn walk_pages(client: &Client, query: &str, mut after_page: impl AsyncFnMut(usize)) -> Vec<String> {
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    for number in 0..MAX_PAGES {
        let page = read_page(client, &format!("{query}&cursor={cursor}")).await;
        assert_eq!(page.get("startIndex"), None, "a page by cursor has no startIndex");
        seen.extend(ids_of(&page));
        after_page(number).await;
        let Some(next) = page.get("nextCursor") else { return seen };
        cursor = next.as_str().expect("a cursor is a string").to_owned();
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(cursor.bytes().all(is_unreserved), "{cursor} needs percent-encoding in a URL");
    }
    panic!("{query}: there is a next page after {MAX_PAGES} pages")
}
