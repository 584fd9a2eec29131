//! The numbers of the protocol, each a type of its own so that no two are mixed up.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A client's unique ID, assigned when it connects: 1, 2, 3 … (§2.3.1.2).
    ///
    /// Never used twice while the server runs, and never 0: a file kept from an earlier run is
    /// listed with `From` 0.
    Uid
}
number! {
    /// The serial number that a client gives to a message of its own (§2.1.1.2).
    MessageId
}
number! {
    /// A staged file's number: 1, 2, 3 … (§2.3.3.1).
    FileId
}
