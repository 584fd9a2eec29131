//! Who has said what, and who has got it: each delivery exactly once and in order, or an error.

use super::dialect::Frame;
use super::generator::Generator;
use super::{Outcome, fail, text};

/// Public texts of the first `senders` members, of which each has up to `window` under way.
///
/// A text is under way until all receivers have it and its sender has its answer, where there are
/// answers.
pub(crate) struct Tally {
    members: usize,
    window: usize,
    echoes: bool,
    answers: bool,
    senders: Vec<Sender>,
    /// The number of the next text for each receiver, of each sender.
    next: Vec<u32>,
    /// How often each text under way is still to come, of each sender, by number modulo `window`.
    missing: Vec<u32>,
    /// How many deliveries there were.
    deliveries: u64,
    /// A sender for each text that is not under way any more.
    free: Vec<usize>,
}

#[derive(Clone)]
struct Sender {
    /// The number of its last text; the first has number 1.
    said: u32,
    /// The number of the last text that was answered.
    answered: u32,
    /// How many texts have reached everybody.
    done: u32,
}

impl Tally {
    pub(crate) fn new(generator: &Generator, senders: usize, window: usize) -> Tally {
        let members = generator.len();
        Tally {
            members,
            window,
            echoes: generator.dialect().echoes(),
            answers: generator.dialect().answers(),
            senders: vec![Sender { said: 0, answered: 0, done: 0 }; senders],
            next: vec![1; senders * members],
            missing: vec![0; senders * window],
            deliveries: 0,
            free: (0..senders).flat_map(|sender| vec![sender; window]).collect(),
        }
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The number of a member's last text.
    pub(crate) fn said(&self, sender: usize) -> u32 {
        self.senders[sender].said
    }

    /// How many members get a text.
    pub(crate) fn receivers(&self) -> usize {
        self.members - usize::from(!self.echoes)
    }

    /// Who may say something now, once for each time.
    pub(crate) fn take_free(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.free)
    }

    /// Gives back what [`Tally::take_free`] took and nobody made use of.
    pub(crate) fn give_back(&mut self, free: Vec<usize>) {
        self.free.extend(free);
    }

    /// Has a member say its next text; returns its number.
    pub(crate) fn say(&mut self, generator: &mut Generator, sender: usize) -> u32 {
        self.senders[sender].said += 1;
        let number = self.senders[sender].said;
        let missing = u32::try_from(self.receivers()).unwrap_or(u32::MAX) + u32::from(self.answers);
        let slot = self.slot(sender, number);
        assert_eq!(self.missing[slot], 0, "the window is full");
        self.missing[slot] = missing;
        generator.send(sender, |dialect, out| dialect.public(sender, number, out));
        number
    }

    fn slot(&self, sender: usize, number: u32) -> usize {
        sender * self.window + number as usize % self.window
    }

    /// Whether nothing is under way.
    pub(crate) fn is_done(&self) -> bool {
        self.senders.iter().all(|sender| sender.done == sender.said)
    }

    /// Counts what has come for a member.
    pub(crate) fn count(&mut self, member: usize, frame: Frame<'_>) -> Outcome<()> {
        match frame {
            Frame::Text(text) => self.delivered(member, text).map(|_| ()),
            Frame::Answer(number) => self.answered(member, number),
            _ => Ok(()),
        }
    }

    /// Counts a delivery; returns its sender and number.
    pub(crate) fn delivered(&mut self, receiver: usize, text: &[u8]) -> Outcome<(usize, u32)> {
        let (sender, number) = text::read(text)?;
        if sender >= self.senders.len() || (sender == receiver && !self.echoes) {
            return fail(format!("member {receiver} gets a text of member {sender}"));
        }
        let next = &mut self.next[sender * self.members + receiver];
        if number != *next || number > self.senders[sender].said {
            return fail(format!(
                "member {receiver} gets text {number} of member {sender}, and not text {next}"
            ));
        }
        *next += 1;
        self.deliveries += 1;
        self.lower(sender, number);
        Ok((sender, number))
    }

    fn answered(&mut self, sender: usize, number: u32) -> Outcome<()> {
        let expected = self.senders.get_mut(sender).map(|sender| {
            sender.answered += 1;
            sender.answered
        });
        if expected != Some(number) {
            return fail(format!("member {sender} is answered {number}, and not {expected:?}"));
        }
        self.lower(sender, number);
        Ok(())
    }

    fn lower(&mut self, sender: usize, number: u32) {
        let slot = self.slot(sender, number);
        self.missing[slot] -= 1;
        if self.missing[slot] == 0 {
            self.senders[sender].done += 1;
            self.free.push(sender);
        }
    }

    /// What has not come, for a person who wonders why nothing comes.
    pub(crate) fn stalled<T>(&self) -> Outcome<T> {
        let late = self.next.iter().enumerate().filter_map(|(index, &next)| {
            let (sender, receiver) = (index / self.members, index % self.members);
            let said = self.senders[sender].said;
            let is_missing = next <= said && (sender != receiver || self.echoes);
            is_missing.then(|| format!("{next}..={said} of {sender} for {receiver}"))
        });
        let late: Vec<_> = late.collect();
        let unanswered = self.senders.iter().filter(|sender| sender.answered < sender.said).count();
        fail(format!(
            "nothing comes; {unanswered} members wait for answers, {} for texts: {}",
            late.len(),
            late.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
        ))
    }
}
