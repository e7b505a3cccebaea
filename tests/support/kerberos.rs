//! Kerberos without Kerberos: tokens that say which context and which leg they are of.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use throughway::egress::{Auth, Choice, Exchange, Kerberos, Lack, Mechanism, NoToken};

/// What the proxy says to ask for a second leg.
pub const GO_ON: &[u8] = b"go on";
/// What proves the proxy.
pub const PROOF: &[u8] = b"proof";

/// Makes `token 1.1` for the first leg of the first context and so on.
#[derive(Debug, Default)]
pub struct Tickets {
    /// Why there is none.
    lacks: Mutex<Option<&'static str>>,
    /// What each making of a token waits for.
    waits: Option<Mutex<Receiver<()>>>,
    services: Mutex<Vec<String>>,
    bindings: Mutex<Vec<Option<Vec<u8>>>>,
    proofs: Arc<Mutex<Vec<Vec<u8>>>>,
}

#[derive(Debug)]
struct Context {
    number: usize,
    legs: usize,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tickets {
    pub fn none() -> Arc<Self> {
        let tickets = Self::default();
        tickets.lose();
        Arc::new(tickets)
    }

    /// Makes no token before the other end of `waits` is dropped.
    pub fn that_wait_for(waits: Receiver<()>) -> Arc<Self> {
        Arc::new(Self {
            waits: Some(Mutex::new(waits)),
            ..Self::default()
        })
    }

    /// From now on there is none.
    pub fn lose(&self) {
        *self.lacks.lock().unwrap() = Some("the ticket has expired");
    }

    /// For which services contexts were begun.
    pub fn services(&self) -> Vec<String> {
        self.services.lock().unwrap().clone()
    }

    /// What the contexts were bound to.
    pub fn bindings(&self) -> Vec<Option<Vec<u8>>> {
        self.bindings.lock().unwrap().clone()
    }

    /// What the proxy's tokens were.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        self.proofs.lock().unwrap().clone()
    }

    pub fn auth(self: &Arc<Self>, choice: Choice) -> Auth {
        self.auth_as(choice, None, None)
    }

    pub fn auth_as(
        self: &Arc<Self>,
        choice: Choice,
        spn: Option<&str>,
        realm: Option<&str>,
    ) -> Auth {
        let (spn, realm) = (spn.map(str::to_owned), realm.map(str::to_owned));
        Auth::by(choice).with(Kerberos::by(self.clone(), spn, realm))
    }
}

impl Mechanism for Tickets {
    fn begin(&self, service: &str, binding: Option<&[u8]>) -> Result<Box<dyn Exchange>, NoToken> {
        if let Some(waits) = &self.waits {
            waits.lock().unwrap().recv().unwrap_err();
        }
        if let Some(why) = *self.lacks.lock().unwrap() {
            return Err(no_token(Lack::Ticket, why));
        }
        let binding = binding.map(<[u8]>::to_vec);
        self.bindings.lock().unwrap().push(binding);
        let mut services = self.services.lock().unwrap();
        services.push(service.to_owned());
        Ok(Box::new(Context {
            number: services.len(),
            legs: 0,
            heard: self.proofs.clone(),
        }))
    }
}

impl Exchange for Context {
    fn step(&mut self, heard: Option<&[u8]>) -> Result<Vec<u8>, NoToken> {
        if let Some(heard) = heard {
            self.heard.lock().unwrap().push(heard.to_vec());
        }
        match heard {
            None | Some(GO_ON) => {}
            Some(PROOF) => return Ok(Vec::new()),
            Some(_) => return Err(no_token(Lack::Other, "the token was modified")),
        }
        self.legs += 1;
        Ok(format!("token {}.{}", self.number, self.legs).into_bytes())
    }
}

fn no_token(lack: Lack, why: &str) -> NoToken {
    let why = why.to_owned();
    NoToken { lack, why }
}
