//! Operation of a request, derived from its method and path.

use hyper::Method;

/// Operation of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `GET` of an item.
    Read,
    /// `POST` of an item.
    Create,
    /// `PUT` of an item.
    Replace,
    /// `DELETE` of an item.
    Delete,
    /// Anything about accounts, databases, containers and partitions.
    Metadata,
}

impl Operation {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let is_item = matches!(segments.as_slice(), ["dbs", _, "colls", _, "docs", _]);
        let is_list = matches!(segments.as_slice(), ["dbs", _, "colls", _, "docs"]);
        match *method {
            Method::GET if is_item => Self::Read,
            Method::PUT if is_item => Self::Replace,
            Method::DELETE if is_item => Self::Delete,
            Method::POST if is_list => Self::Create,
            _ => Self::Metadata,
        }
    }
}
