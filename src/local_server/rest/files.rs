//! Uploads and downloads of files (messages spec §5.1).

use actix_http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use serde_json::json;

use crate::local_server::{
    data::File,
    error_body::error_body,
    ids::uuid,
    limits,
    rest::{
        answer::{Answer, Answered, Call, Refused, decoded, enveloped, illegal, query},
        multipart::parts,
    },
    state::State,
};

impl State {
    /// Stores an uploaded file.
    pub(crate) fn upload(&mut self, call: &Call<'_>) -> Answered {
        let content_type = call.header("content-type").unwrap_or_default();
        let form = parts(content_type, call.body).ok_or_else(|| illegal("the request is no multipart form"))?;
        let part = form.into_iter().find(|part| part.field == "file");
        let part = part.ok_or_else(|| illegal("the form has no file"))?;
        if part.bytes.len() > limits::FILE {
            return Err(Refused(413, "illegal_argument", "the file is too large".to_owned()));
        }
        let (id, secret) = (uuid(), uuid());
        let entity = json!({"uuid": id, "type": "chatfile", "share-secret": secret});
        let answer = json!({"path": "/chatfiles", "entities": [entity]});
        let answer = enveloped(&self.app, "post", "chatfiles", answer);
        let restricted = call.header("restrict-access").is_some_and(|value| value == "true");
        // A small part must not pin the whole body.
        let (bytes, size) = if part.bytes.len() < call.body.len() / 2 {
            (Bytes::copy_from_slice(&part.bytes), part.bytes.len())
        } else {
            (part.bytes, call.body.len())
        };
        let cost = size + part.file_name.len() + part.content_type.len() + limits::FILE_COST;
        let file = File { secret, restricted, name: part.file_name, content_type: part.content_type, bytes, cost };
        self.files.put(id, file);
        Ok(answer)
    }

    /// Answers a download; `None` for another call. The right secret opens a file without a token: the address with the
    /// secret in it is meant for that. A thumbnail is the file itself.
    pub(crate) fn download(&self, call: &Call<'_>) -> Option<Answer> {
        let mut parts = call.path.trim_matches('/').split('/');
        let (Some(org), Some(app), Some("chatfiles"), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        if call.method != "GET" || decoded(org) != self.app.key.org() || decoded(app) != self.app.key.app() {
            return None;
        }
        let refused = |status, error: &str, description: &str| {
            let body = error_body(error, description).into();
            Some(Answer { status, headers: Vec::new(), body })
        };
        let token = call.bearer.map(|bearer| self.tokens.valid(bearer).is_some());
        if token == Some(false) {
            return refused(401, "unauthorized", "Unable to authenticate (OAuth)");
        }
        let Some(file) = self.files.get(id) else {
            return refused(404, "file_expired", "the file is not stored any more");
        };
        let given = call.header("share-secret").map(str::to_owned).or_else(|| query(call.query, "share-secret"));
        let opened = match given {
            Some(given) => given == file.secret,
            None => !file.restricted && token == Some(true),
        };
        if !opened {
            return refused(403, "forbidden", "chatfile no permission");
        }
        let kind = HeaderValue::from_str(&file.content_type);
        let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
        Some(Answer { status: 200, headers: vec![(CONTENT_TYPE, kind)], body: file.bytes.clone() })
    }
}
