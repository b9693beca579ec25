//! Chat rooms and groups through the handle.

use agora_chat::{
    Code, Conversation, EventKind, MessageBody, SendError, events::MucOperation, local_server::Cut,
    messages::RoomRequest,
};

use crate::connection::support::{alice, bob, online, quick, server, text, within};

#[actix::test]
async fn a_text_and_a_command_go_to_a_group_or_room_as_well_as_to_a_user() {
    let server = server().await;
    let (group, room) = (server.create_group("alice", &["bob"]).unwrap(), server.create_room("alice").unwrap());
    let (from, _) = online(server.config(), alice()).await;
    let (to, mut heard) = online(server.config(), bob()).await;
    for connection in [&from, &to] {
        within("the room", connection.change_room(RoomRequest::join(room.as_str()).unwrap())).await.unwrap();
    }
    from.send_text(Conversation::group(group.as_str()), "to the group").await.unwrap();
    let message = heard.message().await;
    assert_eq!((message.conversation(), text(&message)), (Conversation::group(group), "to the group"));
    from.send_command(Conversation::room(room.as_str()), "wave").await.unwrap();
    let message = heard.message().await;
    assert_eq!(message.conversation(), Conversation::room(room.as_str()));
    assert_eq!(message.body, MessageBody::Command { action: "wave".to_owned() });
    to.change_room(RoomRequest::leave(room.as_str()).unwrap()).await.unwrap();
    assert_eq!(server.room_members(&room), ["alice"]);
    for connection in [from, to] {
        connection.close().await;
    }
}

#[actix::test]
async fn a_room_that_ended_while_the_link_was_down_is_told_as_lost() {
    let server = server().await;
    let room = server.create_room("bob").unwrap();
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    connection.join_room(&room).await.unwrap();
    server.stop_listening().await.unwrap();
    server.drop_links("alice", Cut::Rst);
    heard.lost().await;
    assert!(server.destroy_room(&room));
    server.listen_again().await.unwrap();
    let (lost, error) = heard
        .until(|event| match event {
            EventKind::RoomLost { room, error } => Some((room, error)),
            _ => None,
        })
        .await;
    assert_eq!(*lost, *room);
    assert!(matches!(error, Some(SendError::Refused { code: Code::CHATROOM_NOT_EXIST, .. })), "{error:?}");
    connection.close().await;
}

#[actix::test]
async fn a_room_that_ended_while_the_link_was_up_is_not_asked_for_again() {
    let server = server().await;
    let room = server.create_room("bob").unwrap();
    let (connection, mut heard) = online(quick(server.config()), alice()).await;
    connection.join_room(&room).await.unwrap();
    assert!(server.destroy_room(&room));
    heard
        .until(|event| match event {
            EventKind::Room(told) => (told.operation == MucOperation::Destroyed).then_some(()),
            _ => None,
        })
        .await;
    server.drop_links("alice", Cut::Rst);
    assert!(heard.connected().await);
    // Its answer comes after that of whatever went out before it.
    connection.send_text("bob", "still there").await.unwrap();
    let rest = heard.rest();
    assert!(!rest.iter().any(|event| matches!(event, EventKind::RoomLost { .. })), "{rest:?}");
    connection.close().await;
}
