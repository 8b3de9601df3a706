//! Reads answers: what each says about the changes of its request, and which resources it shows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::history::{Document, Kind, Lookup, Outcome, Sighting};
use super::request::{Request, Shows};

/// What an answer says.
#[derive(Clone, Debug, Default)]
pub struct Meaning {
    /// What it says about each change of the request.
    pub outcomes: Vec<Outcome>,
    /// The resources in it.
    pub sightings: Vec<Sighting>,
    /// The result of a filter by name.
    pub lookups: Vec<Lookup>,
}

/// Whether the request with this status may have been done or not.
pub fn is_indefinite(status: u16) -> bool {
    status == 429 || status >= 500 || status == 408
}

/// The meaning of a request without an answer.
pub fn without_answer(request: &Request) -> Meaning {
    Meaning { outcomes: vec![Outcome::Unknown; request.changes.len()], ..Meaning::default() }
}

/// The meaning of an answer. A body that is not JSON counts as no answer.
pub fn meaning(request: &Request, status: u16, body: &[u8]) -> Meaning {
    if is_indefinite(status) {
        return without_answer(request);
    }
    if status >= 400 {
        let mut meaning =
            Meaning { outcomes: vec![Outcome::Refused(status); request.changes.len()], ..Meaning::default() };
        if let (404, Shows::Resource(kind, id)) = (status, &request.shows) {
            meaning.sightings.push(Sighting {
                kind: *kind,
                id: id.clone(),
                document: Some(None),
                links: None,
            });
        }
        return meaning;
    }
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap_or_default() };
    match &request.shows {
        Shows::Resource(kind, _) => {
            Meaning { sightings: sighting(*kind, &body).into_iter().collect(), ..Meaning::default() }
        }
        Shows::Page(kind) => Meaning { sightings: page(*kind, &body), ..Meaning::default() },
        Shows::Lookup(kind, name) => {
            let sightings = page(*kind, &body);
            let lookup = |found| Lookup { kind: *kind, name: name.clone(), found };
            let mut lookups: Vec<Lookup> =
                sightings.iter().map(|sighting| lookup(Some(sighting.id.clone()))).collect();
            if lookups.is_empty() {
                lookups.push(lookup(None));
            }
            Meaning { outcomes: Vec::new(), sightings, lookups }
        }
        Shows::Change => of_change(request, &body),
        Shows::Bulk => Meaning { outcomes: bulk(request, &body), ..Meaning::default() },
    }
}

fn of_change(request: &Request, body: &Value) -> Meaning {
    let Some(change) = request.changes.first() else { return Meaning::default() };
    let shown = sighting(change.kind, body);
    let id = change.id.clone().or_else(|| shown.as_ref().map(|shown| shown.id.clone()));
    // A creation whose answer does not show the id has no known result.
    let Some(id) = id else { return without_answer(request) };
    let document = shown.as_ref().and_then(|shown| shown.document.clone().flatten());
    // The document in the answer is that of the change itself. The members are read after it. The answer to a
    // deactivation shows no groups, although a user who is activated at the same time keeps them.
    let shows_links = document.as_ref().is_some_and(|document| document.active);
    let shown = shown.filter(|_| shows_links);
    let sightings = shown.map(|shown| Sighting { document: None, ..shown }).into_iter().collect();
    Meaning { outcomes: vec![Outcome::Done { id, shown: document }], sightings, lookups: Vec::new() }
}

fn bulk(request: &Request, body: &Value) -> Vec<Outcome> {
    let results = body["Operations"].as_array().map(Vec::as_slice).unwrap_or_default();
    if results.len() != request.changes.len() {
        return vec![Outcome::Unknown; request.changes.len()];
    }
    let outcome = |(change, result): (&super::history::Change, &Value)| {
        let status: u16 = result["status"].as_str().and_then(|status| status.parse().ok()).unwrap_or(500);
        let location = result["location"].as_str().and_then(|location| location.rsplit('/').next());
        let id = change.id.clone().or_else(|| location.map(str::to_owned));
        match (status, id) {
            (status, _) if is_indefinite(status) => Outcome::Unknown,
            (status, _) if status >= 400 => Outcome::Refused(status),
            (_, Some(id)) => Outcome::Done { id, shown: None },
            (_, None) => Outcome::Unknown,
        }
    };
    request.changes.iter().zip(results).map(outcome).collect()
}

/// The resources of a list response.
pub fn page(kind: Kind, body: &Value) -> Vec<Sighting> {
    let resources = body["Resources"].as_array().map(Vec::as_slice).unwrap_or_default();
    resources.iter().filter_map(|resource| sighting(kind, resource)).collect()
}

/// The resource in an answer.
fn sighting(kind: Kind, body: &Value) -> Option<Sighting> {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let id = body["id"].as_str()?.to_owned();
    let external_id = text("externalId");
    let (creation, tag) = match kind {
        Kind::User => (external_id, text("displayName")),
        Kind::Group => {
            let (creation, tag) = external_id.split_once('/').unwrap_or((&external_id, ""));
            (creation.to_owned(), tag.to_owned())
        }
    };
    let document = Document {
        name: text(kind.name_attribute()),
        active: body["active"].as_bool() != Some(false),
        creation,
        tag,
    };
    let elements = |name: &str| body[name].as_array().cloned().unwrap_or_default();
    let ids = |elements: Vec<Value>| -> BTreeSet<String> {
        elements.iter().filter_map(|element| Some(element["value"].as_str()?.to_owned())).collect()
    };
    let links = match kind {
        Kind::Group => ids(elements("members")),
        Kind::User => {
            let groups = elements("groups");
            ids(groups.into_iter().filter(|group| group["type"] == "direct").collect())
        }
    };
    Some(Sighting { kind, id, document: Some(Some(document)), links: Some(links) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_decide_the_outcome() {
        let request = Request::patch_user("u", None, None, "t1");
        for (status, expected) in [
            (200, Outcome::Done { id: "u".to_owned(), shown: None }),
            (204, Outcome::Done { id: "u".to_owned(), shown: None }),
            (409, Outcome::Refused(409)),
            (429, Outcome::Unknown),
            (500, Outcome::Unknown),
        ] {
            assert_eq!(meaning(&request, status, b"").outcomes, [expected], "{status}");
        }
    }

    #[test]
    fn group_is_read_with_both_tags_and_its_members() {
        let body = json!({
            "id": "g", "displayName": "team-1", "externalId": "c1/t2", "members": [{ "value": "u" }]
        });
        let shown = sighting(Kind::Group, &body).unwrap();
        let document = shown.document.unwrap().unwrap();
        assert_eq!((document.creation.as_str(), document.tag.as_str()), ("c1", "t2"));
        assert_eq!(shown.links.unwrap(), BTreeSet::from(["u".to_owned()]));
    }

    #[test]
    fn indirect_groups_of_a_user_are_no_memberships() {
        let groups = json!([{ "value": "g", "type": "direct" }, { "value": "h", "type": "indirect" }]);
        let body = json!({ "id": "u", "userName": "user-1", "displayName": "t1", "groups": groups });
        assert_eq!(sighting(Kind::User, &body).unwrap().links.unwrap(), BTreeSet::from(["g".to_owned()]));
    }

    #[test]
    fn bulk_has_an_outcome_for_each_operation() {
        let request = Request::bulk(vec![
            Request::create_user("user-1", true, "t1"),
            Request::delete(Kind::User, "u"),
            Request::delete(Kind::User, "v"),
        ]);
        let body = json!({ "Operations": [
            { "status": "201", "location": "http://h/Users/new" }, { "status": "404" }, { "status": "429" }
        ] });
        let done = Outcome::Done { id: "new".to_owned(), shown: None };
        assert_eq!(
            meaning(&request, 200, body.to_string().as_bytes()).outcomes,
            [done, Outcome::Refused(404), Outcome::Unknown]
        );
    }
}
