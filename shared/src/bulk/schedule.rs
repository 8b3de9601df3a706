//! The order of the operations of a Bulk request.
//!
//! An operation waits for
//! - the operations that create the resources which it refers to,
//! - earlier operations on the same resource, or on a resource that it mentions,
//! - earlier operations that mention the resource that it changes,
//! - earlier operations that set the same unique name.
//!
//! The schedule is a graph of steps. A step is done after all steps that it waits for. For each operation there is a
//! step that it has run, and a step that it is complete: a resource can be created without its references first. The
//! other steps stand for groups of operations, so that an operation waits for one step instead of many operations, and
//! the graph is linear in the size of the request.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::references::{self, for_each_string};
use super::{BulkOperation, PREFIX};

/// The length of a resource's id.
const ID_LENGTH: usize = 36;

/// Which operations of a Bulk request can run, and which wait for others.
#[derive(Debug)]
pub struct Schedule {
    operations: usize,
    /// For each step, the number of steps that it waits for.
    waits_for: Vec<usize>,
    /// For each step, the steps that wait for it.
    followers: Vec<Vec<usize>>,
    not_run: BTreeSet<usize>,
    ready: BTreeSet<usize>,
}

/// What operations must be kept in order for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Subject<'o> {
    /// The resource with this id, or with a bulkId after [`PREFIX`].
    Resource(&'o str),
    /// The resource with this unique name, at this endpoint.
    Name(&'o str, &'o str),
}

/// The last steps of the operations on a subject, so far.
#[derive(Default)]
struct Last {
    /// All operations that changed the subject.
    changes: Option<usize>,
    /// All operations that changed or mentioned the subject.
    all: Option<usize>,
}

impl Schedule {
    /// Makes the schedule of the operations of a request.
    pub fn new(operations: &[BulkOperation]) -> Self {
        let count = operations.len();
        let mut schedule = Self {
            operations: count,
            waits_for: vec![0; 2 * count],
            followers: vec![Vec::new(); 2 * count],
            not_run: (0..count).collect(),
            ready: BTreeSet::new(),
        };
        schedule.add_references(operations);
        schedule.add_order(operations);
        let is_free = |index: &usize| schedule.is_free(*index);
        schedule.ready = (0..count).filter(is_free).collect();
        schedule
    }

    /// The operations that can run now, in the order of the request.
    pub fn ready(&self) -> impl Iterator<Item = usize> {
        self.ready.iter().copied()
    }

    /// The operations that have not run, in the order of the request.
    pub fn not_run(&self) -> impl Iterator<Item = usize> {
        self.not_run.iter().copied()
    }

    /// Whether all operations that this one waits for have run.
    pub fn is_free(&self, index: usize) -> bool {
        self.waits_for.get(index).is_none_or(|count| *count == 0)
    }

    /// Records that an operation has run.
    pub fn run(&mut self, index: usize) {
        self.not_run.remove(&index);
        self.ready.remove(&index);
        self.finish(index);
    }

    /// Records that the resource which an operation created has its references, so that other operations can change it.
    pub fn complete(&mut self, index: usize) {
        self.finish(self.operations + index);
    }

    /// Marks a step as done, and the groups for which it was the last one.
    fn finish(&mut self, step: usize) {
        let mut done = vec![step];
        while let Some(step) = done.pop() {
            let followers = self.followers.get_mut(step).map(std::mem::take).unwrap_or_default();
            for follower in followers {
                let Some(count) = self.waits_for.get_mut(follower) else { continue };
                *count = count.saturating_sub(1);
                if *count > 0 {
                    continue;
                }
                if follower >= self.operations {
                    done.push(follower);
                } else if self.not_run.contains(&follower) {
                    self.ready.insert(follower);
                }
            }
        }
    }

    fn wait(&mut self, step: usize, before: usize) {
        if let (Some(count), Some(followers)) = (self.waits_for.get_mut(step), self.followers.get_mut(before))
        {
            *count += 1;
            followers.push(step);
        }
    }

    /// Adds the step that both of these steps are done.
    fn join(&mut self, group: Option<usize>, step: usize) -> usize {
        let joined = self.waits_for.len();
        self.waits_for.push(0);
        self.followers.push(Vec::new());
        self.wait(joined, step);
        if let Some(group) = group {
            self.wait(joined, group);
        }
        joined
    }

    /// Makes operations wait for the creation of the resources that they refer to.
    fn add_references(&mut self, operations: &[BulkOperation]) {
        let mut creations: HashMap<&str, usize> = HashMap::new();
        for (index, operation) in operations.iter().enumerate() {
            if let Some(bulk_id) = operation.bulk_id.as_deref().filter(|_| operation.method == "POST") {
                creations.entry(bulk_id).or_insert(index);
            }
        }
        for (index, operation) in operations.iter().enumerate() {
            for name in operation.references() {
                let Some(creation) = creations.get(name.as_str()).filter(|other| **other != index) else {
                    continue;
                };
                self.wait(index, *creation);
                if operation.subject() == Some(&name) {
                    self.wait(index, self.operations + creation);
                }
            }
        }
    }

    /// Keeps operations on the same subject in order.
    fn add_order(&mut self, operations: &[BulkOperation]) {
        let names: Vec<Option<String>> = operations.iter().map(BulkOperation::name).collect();
        let resources: HashSet<&str> = operations.iter().filter_map(resource).collect();
        let mut last: HashMap<Subject<'_>, Last> = HashMap::new();
        for (index, (operation, name)) in operations.iter().zip(&names).enumerate() {
            for (subject, is_changed) in subjects(operation, name.as_deref(), &resources) {
                let last = last.entry(subject).or_default();
                if let Some(before) = if is_changed { last.all } else { last.changes } {
                    self.wait(index, before);
                }
                last.all = Some(self.join(last.all, index));
                if is_changed {
                    last.changes = Some(self.join(last.changes, index));
                }
            }
        }
    }
}

/// Returns the id or bulkId of the resource that an operation changes.
fn resource(operation: &BulkOperation) -> Option<&str> {
    operation.path.get(1).map(String::as_str)
}

/// Returns what an operation changes or mentions, and whether it changes it. Of the resources that it mentions, only
/// those are needed that an operation changes.
fn subjects<'o>(
    operation: &'o BulkOperation,
    name: Option<&'o str>,
    resources: &HashSet<&'o str>,
) -> BTreeMap<Subject<'o>, bool> {
    let mut subjects = BTreeMap::new();
    let mut mention = |id: &str| {
        if let Some(id) = resources.get(id) {
            subjects.insert(Subject::Resource(id), false);
        }
    };
    for_each_string(&operation.data, &mut |text| {
        mention(text);
        text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .filter(|word| word.len() == ID_LENGTH)
            .for_each(&mut mention);
        references::find(text).for_each(|name| mention(&format!("{PREFIX}{name}")));
    });
    subjects.extend(resource(operation).map(|id| (Subject::Resource(id), true)));
    if let (Some(endpoint), Some(name)) = (operation.path.first(), name) {
        subjects.insert(Subject::Name(endpoint, name), true);
    }
    subjects
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "2819c223-7f76-453a-919d-413861904646";
    const OTHER_ID: &str = "e9e30dba-f08f-4109-8486-d5c6a331660a";

    fn operation(method: &str, path: &str, bulk_id: Option<&str>, data: Value) -> BulkOperation {
        let operation = json!({ "method": method, "path": path, "bulkId": bulk_id, "data": data });
        BulkOperation::parse(1, operation.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn operations_on_the_same_resource_or_name_keep_their_order() {
        let user = |name: &str| operation("POST", "/Users", Some("u"), json!({ "userName": name }));
        let item = format!("/Users/{ID}");
        let of_user = |method: &str| operation(method, &item, None, json!({ "active": false }));
        let path = format!("members[value eq \"{ID}\"]");
        let member = operation("PATCH", "/Groups/9", None, json!({ "Operations": [{ "path": path }] }));
        for (later, earlier, expected) in [
            (user("a"), user("b"), false),
            (user("A"), user("a"), true),
            (of_user("DELETE"), of_user("PATCH"), true),
            (of_user("DELETE"), user("a"), false),
            (member.clone(), of_user("DELETE"), true),
            (of_user("DELETE"), member.clone(), true),
            (operation("PATCH", "/Groups/8", None, member.data.clone()), member, false),
            (operation("POST", "/Groups", Some("g"), json!({ "displayName": "a" })), user("a"), false),
        ] {
            let mut schedule = Schedule::new(&[earlier.clone(), later.clone()]);
            let ready: Vec<usize> = schedule.ready().collect();
            assert_eq!(ready, if expected { vec![0] } else { vec![0, 1] }, "{later:?} after {earlier:?}");
            schedule.run(0);
            assert!(schedule.is_free(1));
        }
    }

    #[test]
    fn operation_on_a_created_resource_waits_until_it_has_its_references() {
        let create = |bulk_id, other: &str| {
            operation("POST", "/Groups", Some(bulk_id), json!({ "members": [{ "value": other }] }))
        };
        let mut schedule = Schedule::new(&[
            create("a", "bulkId:b"),
            create("b", "bulkId:a"),
            operation("PATCH", "/Groups/bulkId:a", None, json!({})),
        ]);
        assert_eq!(schedule.ready().count(), 0);
        schedule.run(0);
        assert_eq!(schedule.ready().collect::<Vec<_>>(), [1]);
        assert!(!schedule.is_free(0));
        schedule.run(1);
        schedule.complete(1);
        assert!(schedule.is_free(0));
        assert_eq!(schedule.ready().count(), 0);
        schedule.complete(0);
        assert_eq!(schedule.ready().collect::<Vec<_>>(), [2]);
        assert_eq!(schedule.not_run().collect::<Vec<_>>(), [2]);
    }

    /// An operation that mentions, changes and names resources at random.
    fn any_operation(number: usize) -> impl Strategy<Value = BulkOperation> {
        let ids = vec![ID, OTHER_ID, "bulkId:b0", "bulkId:b1", "bulkId:b2"];
        let mention = prop::sample::select(ids.clone());
        let id = prop::sample::select([ids, vec!["not an id"]].concat());
        let parts = (
            prop::sample::select(vec!["POST", "PATCH"]),
            prop::sample::select(vec!["Users", "Groups"]),
            id,
            prop::option::of(prop::sample::select(vec!["ann", "Ann", "bob"])),
            prop::collection::vec((mention, any::<bool>()), 0..3),
        );
        parts.prop_map(move |(method, endpoint, id, name, mentions)| {
            let mentions: Value = mentions
                .into_iter()
                .map(
                    |(id, is_quoted)| {
                        if is_quoted { format!("members[value eq \"{id}\"]") } else { id.to_owned() }
                    },
                )
                .collect();
            let path = if method == "POST" { format!("/{endpoint}") } else { format!("/{endpoint}/{id}") };
            let bulk_id = format!("b{number}");
            let data = json!({ "userName": name, "displayName": name, "mentions": mentions });
            operation(method, &path, Some(&bulk_id), data)
        })
    }

    /// Whether one operation must wait for an earlier one, from the text of both.
    fn follows(later: &BulkOperation, earlier: &BulkOperation) -> bool {
        let mentions = |operation: &BulkOperation, id: &str| {
            operation.path.get(1).is_some_and(|own| own == id) || operation.data.to_string().contains(id)
        };
        let name = |operation: &BulkOperation| {
            operation.data["userName"].as_str().map(|name| (operation.path[0].clone(), name.to_lowercase()))
        };
        (name(later).is_some() && name(later) == name(earlier))
            || earlier.path.get(1).is_some_and(|id| mentions(later, id))
            || later.path.get(1).is_some_and(|id| mentions(earlier, id))
    }

    /// For each operation, the operations that it waits for, by comparing each with each.
    fn dependencies(operations: &[BulkOperation]) -> Vec<BTreeSet<usize>> {
        let refers = |operation: &BulkOperation, bulk_id: &str| {
            let text = format!("{} {}", operation.path.join("/"), operation.data);
            text.contains(&format!("bulkId:{bulk_id}"))
        };
        (0..operations.len())
            .map(|index| {
                let operation = &operations[index];
                let is_dependency = |other: &usize| {
                    let creation = &operations[*other];
                    let is_reference =
                        creation.method == "POST" && refers(operation, creation.bulk_id.as_ref().unwrap());
                    *other != index && (is_reference || (*other < index && follows(operation, creation)))
                };
                (0..operations.len()).filter(is_dependency).collect()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn operation_is_ready_when_those_that_it_waits_for_have_run(
            operations in (0..8_usize).prop_flat_map(|count| (0..count).map(any_operation).collect::<Vec<_>>()),
            choices in prop::collection::vec(any::<prop::sample::Index>(), 8),
        ) {
            let dependencies = dependencies(&operations);
            let mut schedule = Schedule::new(&operations);
            let mut not_run: BTreeSet<usize> = (0..operations.len()).collect();
            for choice in choices.iter().take(operations.len()) {
                let expected: Vec<usize> = not_run
                    .iter()
                    .copied()
                    .filter(|index| dependencies[*index].is_disjoint(&not_run))
                    .collect();
                prop_assert_eq!(schedule.ready().collect::<Vec<_>>(), expected.clone());
                prop_assert_eq!(schedule.not_run().collect::<BTreeSet<_>>(), not_run.clone());
                for (index, others) in dependencies.iter().enumerate() {
                    prop_assert_eq!(schedule.is_free(index), others.is_disjoint(&not_run));
                }
                // In a cycle no operation is ready, and any one is chosen.
                let next = if expected.is_empty() { not_run.iter().copied().collect() } else { expected };
                let next = *choice.get(&next);
                schedule.run(next);
                schedule.complete(next);
                not_run.remove(&next);
            }
        }
    }
}
