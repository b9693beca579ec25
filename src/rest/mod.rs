//! REST.
/// stub
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("stub")]
pub struct RestError;
impl RestError {
    /// stub
    pub fn code(&self) -> crate::Code {
        crate::Code::REST_ERROR
    }
}
/// stub
pub struct RestClient;
