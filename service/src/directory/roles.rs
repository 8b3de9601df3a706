//! The handlers of /roles. Roles are never hidden.

use std::sync::Arc;

use super::page::PageRequest;
use super::parameters::Parameters;
use super::{id, single};
use crate::call::{Call, ResponseFuture};

/// GET /roles
pub fn list(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let parameters = Parameters::of(&call, &["limit", "cursor"])?;
        let page = PageRequest::new(&call, &parameters)?;
        page.response(call.directory.view(false)?.roles(page.after, page.limit).await?)
    })
}

/// GET /roles/{id}
pub fn get(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        Parameters::of(&call, &[])?;
        single(&call, &call.directory.view(false)?.role(id(&call, 1)?).await?)
    })
}

/// GET /roles/{id}/members
pub fn members(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let parameters = Parameters::of(&call, &["hidden", "limit", "cursor"])?;
        let page = PageRequest::new(&call, &parameters)?;
        let view = call.directory.view(parameters.flag("hidden")?)?;
        page.response(view.role_members(id(&call, 1)?, page.after, page.limit).await?)
    })
}
