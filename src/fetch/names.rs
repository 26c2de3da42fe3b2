use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many names are looked up at once. The system's look-up holds a thread until it gives up,
/// 10 s and more for a name whose servers are silent, whoever has stopped waiting for it. Strangers
/// choose the names, and the runtime has 512 such threads for all of the program's work.
const MAX_LOOKUPS: usize = 128;

/// Lets only those addresses of a name through that are within reach.
///
/// What it lets through is what is connected to: nobody looks the name up again in between. So a
/// name that leads elsewhere when asked a second time (DNS rebinding) leads nowhere.
pub(super) struct Guard {
    pub(super) names: Arc<dyn Resolve>,
    pub(super) includes: fn(IpAddr) -> bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.names.resolve(name);
        let includes = self.includes;
        Box::pin(async move {
            let mut addresses: Vec<SocketAddr> = found.await?.collect();
            if addresses.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into());
            }
            addresses.retain(|address| includes(address.ip()));
            if addresses.is_empty() {
                return Err(OutOfReach.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// All addresses of a name lie where nobody may be sent. Which they are is not told: it would tell
/// a stranger who reads a message what the names within the network are.
#[derive(Debug, thiserror::Error)]
#[error("no address of it is public")]
pub(super) struct OutOfReach;

impl OutOfReach {
    /// Whether it is among the causes of an error.
    pub(super) fn caused(error: &(dyn Error + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// The system's look-up: hosts file, then name servers.
pub(super) struct SystemNames(Arc<Semaphore>);

impl Default for SystemNames {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LOOKUPS)))
    }
}

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        let lookups = Arc::clone(&self.0);
        Box::pin(async move {
            let permit = lookups.acquire_owned().await?;
            let found = tokio::task::spawn_blocking(move || {
                // Held by the thread, not by who waits for it.
                let _permit = permit;
                // Port 0 stands for the one of the address.
                (name.as_str(), 0).to_socket_addrs()
            });
            Ok(Box::new(found.await??) as Addrs)
        })
    }
}
