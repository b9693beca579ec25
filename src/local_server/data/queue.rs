//! One queue of one device: messages in the order of their ids.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    local_server::data::queue_name::QueueName,
    wire::{
        Content, Jid, MessageBody, Meta,
        content::ContentType,
        encode,
        message_body::Type,
        meta::{NameSpace, RouteType},
    },
};

/// A message as it will be delivered.
#[derive(Debug)]
pub(crate) struct StoredItem {
    pub(crate) id: u64,
    pub(crate) queue: QueueName,
    pub(crate) meta: Meta,
}

/// Generated texts: `text 0`, `text 1` and so on, made when they are read.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) queue: QueueName,
    pub(crate) from: Jid,
    pub(crate) to: Jid,
    pub(crate) first_id: u64,
    pub(crate) at_ms: u64,
}

/// A range of generated texts.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    texts: Arc<Texts>,
    first: u64,
    count: u64,
}

/// An element of a queue.
#[derive(Clone, Debug)]
pub(crate) enum Item {
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
    /// Returns the first `count` of these texts.
    pub(crate) fn new(texts: Texts, count: u64) -> Self {
        Run { texts: Arc::new(texts), first: 0, count }
    }

    /// Drops the first `many`.
    fn skip(&mut self, many: u64) {
        let many = many.min(self.count);
        self.first += many;
        self.count -= many;
    }
}

impl Item {
    pub(crate) fn queue(&self) -> &QueueName {
        match self {
            Item::One(stored) => &stored.queue,
            Item::Run(run) => &run.texts.queue,
        }
    }

    /// Returns the number of its messages.
    pub(crate) fn len(&self) -> usize {
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
pub(crate) struct Queue {
    items: VecDeque<Item>,
    len: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.len += item.len();
        self.items.push_back(item);
    }

    /// Returns whether this very item was added last.
    pub(crate) fn ends_with(&self, item: &Item) -> bool {
        matches!((self.items.back(), item), (Some(Item::One(last)), Item::One(item)) if Arc::ptr_eq(last, item))
    }

    pub(crate) fn drop_oldest(&mut self) {
        match self.items.front_mut() {
            Some(Item::Run(run)) if run.count > 1 => run.skip(1),
            Some(_) => drop(self.items.pop_front()),
            None => return,
        }
        self.len -= 1;
    }

    /// Drops everything up to this id; returns how many messages that were.
    pub(crate) fn acknowledge(&mut self, key: u64) -> usize {
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

    /// Returns every message with the id that acknowledges it, oldest first.
    pub(crate) fn metas(&self) -> impl Iterator<Item = (u64, Meta)> {
        self.items.iter().flat_map(Item::metas)
    }
}

fn item_count(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
