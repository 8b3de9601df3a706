//! The handlers of /users.

use std::sync::Arc;

use directory::view::UserFilter;

use super::page::PageRequest;
use super::parameters::Parameters;
use super::{id, single};
use crate::call::{Call, ResponseFuture};

/// GET /users
pub fn list(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let known = ["username", "email", "group", "role", "hidden", "limit", "cursor"];
        let parameters = Parameters::of(&call, &known)?;
        let page = PageRequest::new(&call, &parameters)?;
        let text = |name: &str| Ok::<_, shared::error::ScimError>(parameters.text(name)?.map(str::to_owned));
        let filter = UserFilter {
            username: text("username")?,
            email: text("email")?,
            group: text("group")?,
            role: text("role")?,
        };
        let view = call.directory.view(parameters.flag("hidden")?)?;
        page.response(view.users(&filter, page.after, page.limit).await?)
    })
}

/// GET /users/{id}
pub fn get(call: Arc<Call>) -> ResponseFuture {
    Box::pin(async move {
        let parameters = Parameters::of(&call, &["hidden"])?;
        let view = call.directory.view(parameters.flag("hidden")?)?;
        single(&call, &view.user(id(&call, 1)?).await?)
    })
}
