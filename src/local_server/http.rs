//! The HTTP service behind the relay: REST calls to their answers, upgrades to the socket.

use std::{convert::Infallible, net::SocketAddr, pin::Pin, rc::Rc, sync::Arc, time::Duration};

use actix_codec::Framed;
use actix_http::{
    HttpService, Payload, Request, Response, StatusCode,
    body::{BodyStream, BoxBody, to_bytes_limited},
    h1, header,
};
use actix_service::{Service as _, ServiceFactory as _, fn_service};
use bytes::Bytes;
use tokio::io::DuplexStream;

use super::{
    limits,
    rest::{Answer, Call},
    shared::Shared,
    socket,
};

/// Serves one link until it ends.
pub(super) type Service = Rc<dyn Fn(DuplexStream, SocketAddr) -> Pin<Box<dyn Future<Output = ()>>>>;

/// Builds the service; `None` if the HTTP stack could not be built.
pub(super) async fn service(shared: Arc<Shared>) -> Option<Service> {
    let for_rest = Arc::clone(&shared);
    let rest = fn_service(move |request: Request| {
        let shared = Arc::clone(&for_rest);
        async move { Ok::<_, Infallible>(rest(&shared, request).await) }
    });
    let upgrade = fn_service(move |(request, framed): (Request, Framed<DuplexStream, h1::Codec>)| {
        socket::upgraded(Arc::clone(&shared), request, framed)
    });
    let http = HttpService::build()
        // A test may drip a request for as long as it likes.
        .client_request_timeout(Duration::ZERO)
        .keep_alive(Duration::from_secs(75))
        .upgrade(upgrade)
        .h1(rest)
        .new_service(())
        .await
        .ok()?;
    let http = Rc::new(http);
    Some(Rc::new(move |io, peer| {
        let serving = http.call((io, Some(peer)));
        Box::pin(async move {
            // An error here is a client that went away or does not speak HTTP.
            let _ = serving.await;
        })
    }))
}

async fn rest(shared: &Shared, mut request: Request) -> Response<BoxBody> {
    let most = if request.method() == "POST" && request.path().ends_with("/chatfiles") {
        limits::UPLOAD
    } else {
        limits::BODY
    };
    let Some(body) = body(request.take_payload(), most).await else {
        return Response::new(StatusCode::PAYLOAD_TOO_LARGE);
    };
    if shared.is_silent() {
        shared.silence_over().await;
        if let Some(peer) = request.peer_addr() {
            shared.change(|state| state.cut_link(peer));
        }
        // Nobody gets this: the link has been cut.
        return Response::new(StatusCode::SERVICE_UNAVAILABLE);
    }
    let bearer = request
        .head()
        .headers()
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default().trim());
    let uri = request.uri();
    let call = Call {
        method: request.method().as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        bearer,
        headers: &request.head().headers,
        body: &body,
    };
    answered(shared.change(|state| state.rest(&call)))
}

fn answered(answer: Answer) -> Response<BoxBody> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(status).set_body(BoxBody::new(answer.body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    for (name, value) in answer.headers {
        headers.insert(name, value);
    }
    response
}

/// The whole body, `None` when it is larger than `most` or breaks off.
async fn body(payload: Payload, most: usize) -> Option<Bytes> {
    to_bytes_limited(BodyStream::new(payload), most).await.ok()?.ok()
}
