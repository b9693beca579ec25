//! Files: uploaded as a form, downloaded with their secret (messages spec §5.1).

use std::collections::{HashMap, VecDeque};

use actix_http::header::{CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use serde_json::json;

use super::{
    limits,
    multipart::parts,
    rest::{Answer, Answered, Call, Refused, decoded, error_body, illegal, query},
    state::{State, now_ms, uuid},
};

pub(super) struct File {
    secret: String,
    /// It is not given without its secret.
    restricted: bool,
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) bytes: Bytes,
    /// Bytes that it takes, with what it keeps from being freed.
    cost: usize,
}

/// Every file: [`limits::FILES_BYTES`] in all, the oldest are dropped.
#[derive(Default)]
pub(super) struct Files {
    by_id: HashMap<String, File>,
    order: VecDeque<String>,
    bytes: usize,
}

impl Files {
    fn put(&mut self, id: String, file: File) {
        self.bytes += file.cost;
        self.order.push_back(id.clone());
        self.by_id.insert(id, file);
        while self.bytes > limits::FILES_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(file) = self.by_id.remove(&oldest) {
                self.bytes -= file.cost;
            }
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<&File> {
        self.by_id.get(id)
    }

    pub(super) fn remove(&mut self, id: &str) -> bool {
        let Some(file) = self.by_id.remove(id) else {
            return false;
        };
        self.bytes -= file.cost;
        self.order.retain(|other| other != id);
        true
    }
}

impl State {
    pub(super) fn upload(&mut self, call: &Call<'_>) -> Answered {
        let content_type = call.header("content-type").unwrap_or_default();
        let form = parts(content_type, call.body).ok_or_else(|| illegal("the request is no multipart form"))?;
        let part = form.into_iter().find(|part| part.field == "file");
        let part = part.ok_or_else(|| illegal("the form has no file"))?;
        if part.bytes.len() > limits::FILE {
            return Err(Refused(413, "illegal_argument", "the file is too large".to_owned()));
        }
        let (id, secret) = (uuid(), uuid());
        let answer = json!({
            "action": "post",
            "application": self.app_uuid,
            "path": "/chatfiles",
            "uri": format!("{}/{}/{}/chatfiles", self.rest_url, self.app_key.org(), self.app_key.app()),
            "entities": [{"uuid": id, "type": "chatfile", "share-secret": secret}],
            "timestamp": now_ms(),
            "duration": 0,
            "organization": self.app_key.org(),
            "applicationName": self.app_key.app(),
        });
        let restricted = call.header("restrict-access").is_some_and(|value| value == "true");
        // A small part must not keep the whole body.
        let (bytes, held) = if part.bytes.len() < call.body.len() / 2 {
            (Bytes::copy_from_slice(&part.bytes), part.bytes.len())
        } else {
            (part.bytes, call.body.len())
        };
        let cost = held + part.file_name.len() + part.content_type.len() + limits::FILE_COST;
        let file = File { secret, restricted, name: part.file_name, content_type: part.content_type, bytes, cost };
        self.files.put(id, file);
        Ok(answer)
    }

    /// Answers a download; `None` if it is no such call. The right secret opens a file without a token, because the
    /// address with the secret in it is meant for that. A thumbnail is the file itself.
    pub(super) fn download(&self, call: &Call<'_>) -> Option<Answer> {
        let mut parts = call.path.trim_matches('/').split('/');
        let (Some(org), Some(app), Some("chatfiles"), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        if call.method != "GET" || decoded(org) != self.app_key.org() || decoded(app) != self.app_key.app() {
            return None;
        }
        let refused = |status, error: &str, description: &str| {
            let body = error_body(error, description).into();
            Some(Answer { status, headers: Vec::new(), body })
        };
        let token = call.bearer.map(|bearer| self.token(bearer).is_some_and(|token| !token.is_expired()));
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
