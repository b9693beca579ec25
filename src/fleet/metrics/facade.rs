//! The same metrics for the recorder that an application has installed for the facade crate `metrics`.

use std::{collections::HashMap, sync::Weak, time::Duration};

use actix_rt::{ArbiterHandle, time};
use metrics::{Label, Level, Metadata, SharedString};

use crate::{
    fleet::{
        handle::Shared,
        metrics::{CATALOGUE, Kind, Metric, Sink, collect},
    },
    model,
};

/// Gives the values to the recorder, once a second for as long as the fleet is there.
pub(in crate::fleet) fn emit_every_second(arbiter: &ArbiterHandle, shared: Weak<Shared>) {
    arbiter.spawn(async move {
        describe();
        let mut facade = Facade::default();
        while let Some(shared) = shared.upgrade() {
            collect(&shared, &mut facade);
            if shared.table.whole().ended {
                return;
            }
            drop(shared);
            time::sleep(Duration::from_secs(1)).await;
        }
    });
}

fn describe() {
    metrics::with_recorder(|recorder| {
        for metric in CATALOGUE {
            let (name, help) = (metric.name.into(), SharedString::const_str(metric.help));
            let unit = metric.name.ends_with("_seconds").then_some(metrics::Unit::Seconds);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram => recorder.describe_histogram(name, unit, help),
            }
        }
    });
}

/// Gives values to the recorder of this moment.
#[derive(Default)]
struct Facade {
    /// What each bucket had when it was given last.
    given: HashMap<&'static str, Vec<u64>>,
}

const METADATA: Metadata<'static> = Metadata::new("agora_chat", Level::INFO, Some("agora_chat::fleet"));

impl Sink for Facade {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, exact up to 2^53")]
    fn number(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        let labels = metric.labels.iter().zip(labels).map(|(label, text)| Label::new(*label, (*text).to_owned()));
        let key = metrics::Key::from_parts(metric.name, labels.collect::<Vec<_>>());
        metrics::with_recorder(|recorder| match metric.kind {
            Kind::Counter => recorder.register_counter(&key, &METADATA).absolute(value as u64),
            _ => recorder.register_gauge(&key, &METADATA).set(value),
        });
    }

    /// Gives each duration as the upper bound of its bucket; of what is past the last bound, that bound twice.
    fn histogram(&mut self, metric: &Metric, durations: &model::totals::Histogram) {
        let given = self.given.entry(metric.name).or_insert_with(|| vec![0; durations.counts().count()]);
        let longer = durations.bounds().last().map(|last| last * 2.0);
        let values = durations.bounds().chain(longer);
        metrics::with_recorder(|recorder| {
            let histogram = recorder.register_histogram(&metrics::Key::from_name(metric.name), &METADATA);
            for ((value, count), given) in values.zip(durations.counts()).zip(given) {
                let new = count.saturating_sub(*given);
                if new > 0 {
                    histogram.record_many(value, usize::try_from(new).unwrap_or(usize::MAX));
                }
                *given = count;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::{Arc, Mutex},
        time::Duration,
    };

    use metrics::{
        Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit,
    };

    use super::{Facade, collect, describe};
    use crate::{
        config::Config,
        fleet::{config::FleetConfig, handle::Fleet, metrics::CATALOGUE},
    };

    /// Keeps what it is given.
    #[derive(Default)]
    struct Kept {
        values: Arc<Mutex<BTreeMap<String, Vec<f64>>>>,
        described: Mutex<BTreeSet<String>>,
    }

    struct One(Arc<Mutex<BTreeMap<String, Vec<f64>>>>, String);

    impl One {
        fn add(&self, value: f64) {
            self.0.lock().unwrap().entry(self.1.clone()).or_default().push(value);
        }
    }

    impl CounterFn for One {
        fn increment(&self, _: u64) {
            panic!("a count is given whole");
        }

        fn absolute(&self, value: u64) {
            self.add(value as f64);
        }
    }

    impl GaugeFn for One {
        fn increment(&self, _: f64) {
            panic!("a gauge is set");
        }

        fn decrement(&self, _: f64) {
            panic!("a gauge is set");
        }

        fn set(&self, value: f64) {
            self.add(value);
        }
    }

    impl HistogramFn for One {
        fn record(&self, value: f64) {
            self.add(value);
        }
    }

    impl Kept {
        fn one(&self, key: &Key) -> Arc<One> {
            let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            Arc::new(One(Arc::clone(&self.values), format!("{} {}", key.name(), labels.join(","))))
        }

        fn note(&self, name: &KeyName) {
            self.described.lock().unwrap().insert(name.as_str().to_owned());
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
            self.note(&key);
        }

        fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
            self.note(&key);
        }

        fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
            self.note(&key);
        }

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.one(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.one(key))
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.one(key))
        }
    }

    #[actix_web::test]
    async fn a_recorder_gets_the_same_names_and_each_duration_once() {
        let config = Config::builder("org#app").addresses("http://127.0.0.1:9", "ws://127.0.0.1:9/websocket");
        let fleet = Fleet::start(FleetConfig::new(config.build().unwrap()).arbiters(1)).unwrap();
        fleet.shared().table.queue_time.add(Duration::from_millis(300));
        fleet.shared().totals.received.add(7);
        let (kept, mut facade) = (Kept::default(), Facade::default());
        metrics::with_local_recorder(&kept, || {
            describe();
            collect(fleet.shared(), &mut facade);
            fleet.shared().table.queue_time.add(Duration::from_secs(3600));
            collect(fleet.shared(), &mut facade);
            collect(fleet.shared(), &mut facade);
        });
        let names: BTreeSet<_> = CATALOGUE.iter().map(|metric| metric.name.to_owned()).collect();
        assert_eq!(*kept.described.lock().unwrap(), names);
        let values = kept.values.lock().unwrap();
        assert_eq!(values["agora_chat_messages_total direction=received"], [7.0; 3]);
        assert_eq!(values["agora_chat_login_queue_wait_seconds "], [0.5, 1200.0]);
        assert_eq!(values["agora_chat_breaker_state state=closed"], [1.0; 3]);
        assert_eq!(values[concat!("agora_chat_build_info version=", env!("CARGO_PKG_VERSION"))], [1.0; 3]);
    }
}
