//! The check of invariants in [`tests::invariants`]: it finds every fault that a test writes into a valid
//! directory.

use std::sync::LazyLock;

use tests::corruption::{Corruption, SmallDirectory};
use tests::invariants::Invariant::{self, *};
use tests::invariants::{assert_invariants, find_violations};
use tests::service::Service;

/// A separate service, because each case reads the whole table.
fn service() -> &'static Service {
    static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);
    &SERVICE
}

/// The invariants that a corruption breaks, sorted by name.
fn broken_by(corruption: Corruption) -> &'static [Invariant] {
    match corruption {
        Corruption::ActiveCopyIsWrong | Corruption::MemberKindIsWrong => &[CopiesAgree],
        Corruption::CountIsWrong => &[CountsAreExact],
        Corruption::DeletionIsUnfinished => &[DeletionsAreComplete],
        Corruption::GroupIsMissing => &[CountsAreExact, GroupsExist, IndexItemsHaveResources],
        Corruption::GroupNameIsShared => &[NamesAreUnique],
        Corruption::GroupSideIsMissing | Corruption::MemberSideIsMissing => &[MembershipsHaveBothSides],
        Corruption::IndexItemIsMissing => &[ResourcesHaveIndexItems],
        Corruption::IndexItemNamesAnotherUser => &[IndexItemsHaveResources, ResourcesHaveIndexItems],
        Corruption::IndexItemIsStray => &[IndexItemsHaveResources],
        Corruption::ItemIsUnknown => &[ItemsAreKnown],
        Corruption::MemberIsDeactivated => &[CountsAreExact, MembersAreActive, ResourcesHaveIndexItems],
        Corruption::MemberIsMissing => &[CountsAreExact, IndexItemsHaveResources, MembersExist],
        Corruption::NestingHasCycle => &[NestingHasNoCycle, NestingHasNoCycle],
        Corruption::NestingMarkIsMissing => &[NestedGroupsAreMarked],
        Corruption::UserIsUnreadable => &[ResourcesAreReadable],
        Corruption::UserNameIsShared => &[IndexItemsHaveResources, NamesAreUnique],
    }
}

#[tokio::test]
async fn each_corruption_breaks_its_invariants() {
    for corruption in Corruption::ALL {
        let directory = SmallDirectory::create(service()).await;
        let connector = &directory.connector.id;
        assert_invariants(service(), connector).await;
        directory.corrupt(service(), corruption).await;
        let violations = find_violations(service(), connector).await;
        let broken: Vec<Invariant> = violations.iter().map(|violation| violation.invariant).collect();
        assert_eq!(broken, broken_by(corruption), "{corruption:?}: {violations:#?}");
    }
}
