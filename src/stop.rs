//! Orders between threads: to stop, to look whether there is something to do, and to go by a new plan.
//!
//! All are channels. The order to stop is a disconnection, which cannot be missed and cannot be
//! full; a wake-up is a channel of one message, in which a second one would say nothing new.

use std::convert::Infallible;

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};

/// Disconnected when the daemon stops. Whoever works for long without touching a channel looks at it.
pub type Quit = Receiver<Infallible>;

/// Whether the daemon stops.
pub fn told_to_quit(quit: &Quit) -> bool {
    matches!(quit.try_recv(), Err(TryRecvError::Disconnected))
}

/// Tells a thread that there may be something for it. A wake-up that waits there already says the
/// same, and without a receiver the process is ending: both are fine.
pub fn wake(sleeper: &Sender<()>) {
    match sleeper.try_send(()) {
        Ok(()) | Err(_) => {}
    }
}

/// Puts the newest order into a channel, in place of one that still waits there: what it said is out
/// of date. `waiting` is the other end of the same channel.
pub fn replace<T>(orders: &Sender<T>, waiting: &Receiver<T>, order: T) {
    let mut order = order;
    while let Err(TrySendError::Full(newest)) = orders.try_send(order) {
        drop(waiting.try_recv());
        order = newest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;

    #[test]
    fn a_wake_up_is_never_waited_for_and_waits_once() {
        let (sender, receiver) = bounded(1);
        wake(&sender);
        wake(&sender);
        assert_eq!(receiver.try_iter().count(), 1);
        drop(receiver);
        wake(&sender);
    }

    #[test]
    fn only_the_newest_order_waits() {
        let (sender, receiver) = bounded(1);
        for order in 1..=3 {
            replace(&sender, &receiver, order);
        }
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn the_end_of_the_sender_is_the_order() {
        let (sender, quit) = bounded(0);
        assert!(!told_to_quit(&quit));
        drop(sender);
        assert!(told_to_quit(&quit));
    }
}
