//! CONNECT as bytes and values (RFC 9110 §9.3.6): our request, the head of the proxy's reply, and
//! the body of a reply that refuses.

pub mod body;
pub mod reply;
pub mod request;
