//! Recent events of the demo, for the strip on its page: who did something, and what.
//!
//! Knows no HTTP. Holds no token, code or cookie.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oauth_proxy::clock::{Clock, SystemClock, Timestamp};
use oauth_proxy::web::escape;
use tokio::sync::watch;

use crate::part::Part;
use crate::terminal;

/// Events kept; the page shows them all.
const MAX_EVENTS: usize = 24;

/// One event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// One more for each event since the start.
    pub(crate) number: u64,
    at: Timestamp,
    part: Part,
    label: &'static str,
    text: String,
}

/// The last [`MAX_EVENTS`] events.
pub(crate) struct Story {
    events: Mutex<VecDeque<Event>>,
    newest: watch::Sender<u64>,
}

impl Default for Story {
    fn default() -> Self {
        Self { events: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

impl Story {
    /// Adds an event, and prints it in the terminal.
    pub(crate) fn record(&self, part: Part, label: &'static str, text: &str) {
        terminal::print_event(part, text);
        self.note(part, label, text);
    }

    /// Adds an event without printing it.
    pub(crate) fn note(&self, part: Part, label: &'static str, text: &str) {
        let mut events = self.events();
        let number = events.back().map_or(1, |event| event.number + 1);
        events.push_back(Event { number, at: SystemClock.now(), part, label, text: text.to_owned() });
        if events.len() > MAX_EVENTS {
            events.pop_front();
        }
        drop(events);
        self.newest.send_replace(number);
    }

    /// The events after this number, oldest first.
    pub(crate) fn after(&self, number: u64) -> Vec<Event> {
        self.events().iter().filter(|event| event.number > number).cloned().collect()
    }

    /// The number of the newest event, as it changes.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Every event as a list item, oldest first.
    pub(crate) fn html(&self) -> String {
        self.after(0).iter().map(Event::html).collect()
    }

    fn events(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Event {
    /// The event as a list item.
    pub(crate) fn html(&self) -> String {
        let second = self.at.as_unix().rem_euclid(86_400);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let mut html = String::new();
        let _ = write!(
            html,
            r#"<li class="{part}" data-number="{number}"><b>{label}</b><span>{text}</span><small>{part} {hour:02}:{minute:02}:{second:02}</small></li>"#,
            part = self.part.name(),
            number = self.number,
            label = escape(self.label),
            text = escape(&self.text),
        );
        html
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_EVENTS, Story};
    use crate::part::Part;

    #[test]
    fn the_oldest_event_makes_room_and_numbers_go_on() {
        let story = Story::default();
        for _ in 0..=MAX_EVENTS {
            story.note(Part::Provider, "code", "for <ada>");
        }

        let numbers: Vec<_> = story.after(0).iter().map(|event| event.number).collect();

        assert_eq!((numbers.len(), numbers.first(), *story.newest().borrow()), (MAX_EVENTS, Some(&2), 25));
        assert!(story.html().contains("for &lt;ada&gt;"));
    }

    #[test]
    fn only_events_after_a_number_are_given() {
        let story = Story::default();
        story.note(Part::Handler, "redirect", "first");
        story.note(Part::Handler, "redirect", "second");

        assert_eq!(story.after(1).len(), 1);
        assert!(story.after(2).is_empty());
    }
}
