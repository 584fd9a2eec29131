//! The reference implementation of the Multi-chat Messaging Protocol (MCMP).
