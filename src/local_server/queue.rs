//! One queue of one device: messages in the order of their ids.

use std::{collections::VecDeque, sync::Arc};

use super::queues::QueueName;
use crate::wire::{
    Content, Jid, MessageBody, Meta,
    content::ContentType,
    encode,
    message_body::Type,
    meta::{NameSpace, RouteType},
};

/// A message as it will be delivered.
#[derive(Debug)]
pub(super) struct StoredItem {
    pub(super) id: u64,
    pub(super) queue: QueueName,
    pub(super) meta: Meta,
}

/// Texts that nobody wrote: `text 0`, `text 1` and so on, made when they are read.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) queue: QueueName,
    pub(super) from: Jid,
    pub(super) to: Jid,
    pub(super) first_id: u64,
    pub(super) at_ms: u64,
}

/// Some of those texts.
#[derive(Clone, Debug)]
pub(super) struct Run {
    texts: Arc<Texts>,
    first: u64,
    count: u64,
}

/// What a queue consists of.
#[derive(Clone, Debug)]
pub(super) enum Item {
    One(Arc<StoredItem>),
    Run(Run),
}

impl Texts {
    fn meta(&self, number: u64) -> Meta {
        let named = |jid: &Jid| Some(Jid { name: jid.name.clone(), ..Jid::default() });
        let text = Some(format!("text {number}"));
        let body = MessageBody {
            r#type: Some(Type::Chat as i32),
            from: named(&self.from),
            to: named(&self.to),
            contents: vec![Content { r#type: Some(ContentType::Text as i32), text, ..Content::default() }],
            ..MessageBody::default()
        };
        Meta {
            id: Some(self.first_id + number),
            from: Some(self.from.clone()),
            to: Some(self.to.clone()),
            timestamp: Some(self.at_ms),
            ns: Some(NameSpace::Chat as i32),
            payload: Some(encode(&body)),
            routetype: Some(RouteType::RouteAll as i32),
            ..Meta::default()
        }
    }
}

impl Run {
    /// The first `count` of these texts.
    pub(super) fn new(texts: Texts, count: u64) -> Self {
        Run { texts: Arc::new(texts), first: 0, count }
    }

    /// Passes over the first so many.
    fn skip(&mut self, many: u64) {
        let many = many.min(self.count);
        self.first += many;
        self.count -= many;
    }
}

impl Item {
    pub(super) fn queue(&self) -> &QueueName {
        match self {
            Item::One(stored) => &stored.queue,
            Item::Run(run) => &run.texts.queue,
        }
    }

    /// How many messages it is.
    pub(super) fn len(&self) -> usize {
        match self {
            Item::One(_) => 1,
            Item::Run(run) => usize::try_from(run.count).unwrap_or(usize::MAX),
        }
    }

    fn metas(&self) -> impl Iterator<Item = (u64, Meta)> {
        let (one, run) = match self {
            Item::One(stored) => (Some((stored.id, stored.meta.clone())), None),
            Item::Run(run) => (None, Some(run)),
        };
        let texts = run
            .into_iter()
            .flat_map(|run| (run.first..run.first + run.count).map(|n| (run.texts.first_id + n, run.texts.meta(n))));
        one.into_iter().chain(texts)
    }
}

/// Messages in the order of their ids, which rise.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Item>,
    len: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, item: Item) {
        self.len += item.len();
        self.items.push_back(item);
    }

    pub(super) fn drop_oldest(&mut self) {
        match self.items.front_mut() {
            Some(Item::Run(run)) if run.count > 1 => run.skip(1),
            Some(_) => drop(self.items.pop_front()),
            None => return,
        }
        self.len -= 1;
    }

    /// Forgets everything up to this id; answers how many messages that were.
    pub(super) fn acknowledge(&mut self, key: u64) -> usize {
        let before = self.len;
        while let Some(item) = self.items.front_mut() {
            match item {
                Item::One(stored) if stored.id > key => break,
                Item::One(_) => self.len -= 1,
                Item::Run(run) => {
                    let held = item_count(run.count);
                    let next = run.texts.first_id + run.first;
                    run.skip((key.saturating_add(1)).saturating_sub(next));
                    self.len -= held - item_count(run.count);
                    if run.count > 0 {
                        break;
                    }
                }
            }
            self.items.pop_front();
        }
        before - self.len
    }

    /// Every message with the id that acknowledges it, oldest first.
    pub(super) fn metas(&self) -> impl Iterator<Item = (u64, Meta)> {
        self.items.iter().flat_map(Item::metas)
    }
}

fn item_count(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
