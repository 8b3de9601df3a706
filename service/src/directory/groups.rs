//! The handlers of /groups.

use std::sync::Arc;

use shared::error::ErrorKind;

use super::page::PageRequest;
use super::parameters::Parameters;
use super::{id, single};
use crate::call::{Call, ResponseFuture};

/// GET /groups
pub fn list(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let parameters = Parameters::of(&call, &["hidden", "limit", "cursor"])?;
        let page = PageRequest::new(&call, &parameters)?;
        let view = call.directory.view(parameters.flag("hidden")?)?;
        page.response(view.groups(page.after, page.limit).await?)
    })
}

/// GET /groups/{id}
pub fn get(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let parameters = Parameters::of(&call, &["hidden"])?;
        let view = call.directory.view(parameters.flag("hidden")?)?;
        single(&call, &view.group(id(&call, 1)?).await?)
    })
}

/// GET /groups/{id}/members
pub fn members(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let parameters = Parameters::of(&call, &["effective", "hidden", "limit", "cursor"])?;
        let page = PageRequest::new(&call, &parameters)?;
        let view = call.directory.view(parameters.flag("hidden")?)?;
        let is_effective = parameters.flag("effective")?;
        page.response(view.members(id(&call, 1)?, is_effective, page.after, page.limit).await?)
    })
}

/// GET /groups/{id}/members/{user}
pub fn member(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let parameters = Parameters::of(&call, &["hidden"])?;
        let view = call.directory.view(parameters.flag("hidden")?)?;
        let (group, user) = (id(&call, 1)?, id(&call, 3)?);
        let answer = view.member(group, user).await.inspect_err(|error| {
            if error.kind == ErrorKind::NotFound {
                call.notes.answer();
            }
        });
        single(&call, &answer?)
    })
}
