//! Passwords that a person chose.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq as _;

use super::{Credential, PresentedCredentials};

/// The argon2id parameters that OWASP recommends as a minimum: 19 MiB, two passes, one lane.
const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
const ARGON2_PASSES: u32 = 2;
const ARGON2_LANES: u32 = 1;

/// Compares passwords with argon2id hashes. It allocates the memory of argon2 (19 MiB) with the first comparison
/// and keeps it, because allocating it for each comparison fragments the memory of a process.
#[derive(Default)]
pub struct PasswordVerifier {
    memory: Vec<Block>,
}

impl std::fmt::Debug for PasswordVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordVerifier").finish_non_exhaustive()
    }
}

impl PasswordVerifier {
    /// Finds the candidate whose password this is. Each comparison takes about 20 ms of CPU time.
    pub fn find<'c>(
        &mut self,
        presented: &PresentedCredentials,
        candidates: impl IntoIterator<Item = &'c Credential>,
    ) -> Option<&'c Credential> {
        candidates
            .into_iter()
            .find(|candidate| self.verify(presented.secret(), &candidate.secret).unwrap_or_default())
    }

    /// Returns `None` if the stored hash is not a valid PHC string of argon2.
    fn verify(&mut self, password: &str, stored: &str) -> Option<bool> {
        let stored = PasswordHash::new(stored).ok()?;
        let (salt, expected) = (stored.salt?, stored.hash?);
        let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
        let version = Version::try_from(stored.version?).ok()?;
        let params = Params::try_from(&stored).ok()?;
        if self.memory.len() < params.block_count() {
            self.memory.resize(params.block_count(), Block::new());
        }
        let memory = self.memory.get_mut(..params.block_count())?;
        let mut hash = vec![0; expected.len()];
        let argon2 = Argon2::new(algorithm, version, params);
        argon2.hash_password_into_with_memory(password.as_bytes(), salt.as_ref(), &mut hash, memory).ok()?;
        Some(hash.ct_eq(expected.as_bytes()).into())
    }
}

pub(super) fn argon2() -> Argon2<'static> {
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}
