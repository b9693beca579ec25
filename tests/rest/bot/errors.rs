//! What answers other than success mean (messages spec §5.1, §5.7), row by row.

use agora_chat::{
    errors::{RestError, RestErrorKind as Kind},
    messages::Attachment,
    rest::{HistoryQuery, Resource, Upload},
};
use serde_json::{Value, json};

use crate::bot::{
    scripted::Reply,
    support::{alice, scripted, token},
};

fn numbered(status: u16, number: u32) -> Reply {
    Reply::json(status, &json!({"error": "e", "error_code": number, "error_description": "d"}))
}

async fn history(reply: Reply) -> RestError {
    let (_server, rest) = scripted([reply]).await;
    rest.history(&token(), &alice(), &"bob".into(), &HistoryQuery::new()).await.unwrap_err()
}

#[actix::test]
async fn every_error_code_of_the_table_has_its_number() {
    #[rustfmt::skip]
    let rows: [(u16, &[u32], i32, Kind); 21] = [
        (400, &[40002], 1301, Kind::BadRequest),
        (400, &[40009], 53, Kind::Unsupported),
        (400, &[60005], 609, Kind::BadRequest),
        (400, &[60011], 702, Kind::NotAMember),
        (400, &[14403], 101, Kind::BadRequest),
        (400, &[91104, 60010], 52, Kind::Forbidden),
        (400, &[60006, 60007, 60009, 60012], 50, Kind::LimitReached),
        (400, &[12345], 17, Kind::BadRequest),
        (401, &[40001, 60001], 52, Kind::Unauthorized),
        (401, &[12345], 17, Kind::Unauthorized),
        (403, &[40000, 60004, 15002], 505, Kind::ServiceDisabled),
        (403, &[40003, 40004], 1301, Kind::Forbidden),
        (403, &[40005, 40007, 91002, 91101], 50, Kind::LimitReached),
        (403, &[60002, 12345], 603, Kind::Forbidden),
        (403, &[91102], -3, Kind::Forbidden),
        (404, &[40011], 1300, Kind::NotFound),
        (404, &[40012], 52, Kind::Forbidden),
        (404, &[60003, 20004], 602, Kind::NotAMember),
        (404, &[91001], 1400, Kind::NotFound),
        (406, &[90004], 54, Kind::Forbidden),
        (404, &[12345], 17, Kind::NotFound),
    ];
    for (status, numbers, code, kind) in rows {
        for number in numbers {
            let error = history(numbered(status, *number)).await;
            assert_eq!((error.code().number(), error.kind()), (code, &kind), "{status} {number}");
        }
    }
    for (numbers, code) in [(&[40006, 40008, 40010][..], 503), (&[90005, 99999], -2), (&[12345], 17)] {
        for number in numbers {
            let error = history(numbered(500, *number)).await;
            assert_eq!((error.code().number(), error.kind()), (code, &Kind::ServerError), "500 {number}");
        }
    }
}

#[actix::test]
async fn every_text_of_the_table_has_its_number() {
    let single = json!({"error": "e", "error_code": 60010, "error_description": "single value exceeds the limit"});
    #[rustfmt::skip]
    let rows = [
        (400, "you are not members of this group", 602, Kind::NotAMember),
        (400, "this appKey not open message roaming", 505, Kind::ServiceDisabled),
        (403, "the app not open this service", 505, Kind::ServiceDisabled),
        (400, "something else", 17, Kind::BadRequest),
        (403, "something else", 603, Kind::Forbidden),
        (403, "group is disabled", 608, Kind::Forbidden),
        (404, "user not found", 204, Kind::UserNotFound),
        (404, "no such group", 605, Kind::GroupNotFound),
        (404, "pinned message missing", 51, Kind::MessageNotFound),
        (404, "something else", 17, Kind::NotFound),
        (429, "The request has reached the maximum limit", 50, Kind::RateLimited),
        (429, "slower", 500, Kind::RateLimited),
        (503, "", 500, Kind::ServerBusy),
        (500, "translation failed", 1204, Kind::ServerError),
    ];
    for (status, text, code, kind) in rows {
        let error = history(Reply::failure(status, "e", text)).await;
        assert_eq!((error.code().number(), error.kind()), (code, &kind), "{status} {text}");
    }
    let error = history(Reply::json(400, &single)).await;
    assert_eq!((error.code().number(), error.kind()), (50, &Kind::LimitReached));
}

#[actix::test]
async fn presence_says_in_its_result_why_it_failed() {
    let rows =
        [("the app not open presence", 505, Kind::ServiceDisabled), ("ext is too big ", 1100, Kind::PresenceTooLong)];
    for (result, code, kind) in rows {
        let (_server, rest) = scripted([Reply::json(400, &json!({"result": result}))]).await;
        let resource: Resource = "web".parse().unwrap();
        let error = rest.publish_presence(&token(), &alice(), &resource, "x").await.unwrap_err();
        assert_eq!((error.code().number(), error.kind(), error.description()), (code, &kind, Some(result)));
        assert!(error.is_final());
    }
}

#[actix::test]
async fn an_upload_that_is_refused_has_its_number() {
    let rows = [
        (Reply::failure(400, "e", "d"), 101, Kind::BadRequest),
        (numbered(400, 14403), 101, Kind::BadRequest),
        (numbered(400, 60006), 50, Kind::LimitReached),
        (Reply::failure(401, "unauthorized", "Unable to authenticate (OAuth)"), 52, Kind::Unauthorized),
        (Reply::failure(403, "e", "d"), 603, Kind::Forbidden),
        (Reply::failure(500, "e", "d"), 17, Kind::ServerError),
    ];
    for (reply, code, kind) in rows {
        let (_server, rest) = scripted([reply.clone()]).await;
        let error = rest.upload(&token(), &alice(), Upload::bytes("n", "x")).await.unwrap_err();
        assert_eq!((error.code().number(), error.kind()), (code, &kind), "{reply:?}");
    }
}

#[actix::test]
async fn a_download_that_is_refused_has_its_number() {
    let no_permission = |name: &str| {
        let mut body: Value = json!({"error": "e", "error_description": "d"});
        body[name] = "chatfile no permission".into();
        Reply::json(403, &body)
    };
    let rows = [
        (no_permission("error"), 222, Kind::FileForbidden),
        (no_permission("error_description"), 222, Kind::FileForbidden),
        (Reply::failure(403, "e", "d"), 603, Kind::Forbidden),
        (Reply::failure(404, "file_expired", "d"), 223, Kind::FileExpired),
        (Reply::failure(404, "e", "d"), 200, Kind::NotFound),
        (Reply::failure(400, "e", "d"), 200, Kind::BadRequest),
        (Reply::failure(401, "e", "d"), 200, Kind::Unauthorized),
        (Reply::failure(500, "e", "d"), 503, Kind::ServerError),
        (Reply::Answer(302, Vec::new(), Vec::new()), 200, Kind::Other),
    ];
    for (reply, code, kind) in rows {
        let (_server, rest) = scripted([reply.clone()]).await;
        let file = Attachment::at("http://h/org/app/chatfiles/u");
        let error = rest.download(&token(), &alice(), &file).await.unwrap_err();
        assert_eq!((error.code().number(), error.kind()), (code, &kind), "{reply:?}");
    }
}
