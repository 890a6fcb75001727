//! Numbers of replicas in properties, and whether there are backends for them.

use crate::api::SqlError;
use dorisim_model::catalog::Properties;

/// `tag.location.default: N`.
#[must_use]
pub fn allocation(replicas: u32) -> String {
    format!("tag.location.default: {replicas}")
}

/// The number of an allocation; all backends carry the tag `default`, so that another one has none.
fn of_default_tag(allocation: &str) -> Result<String, SqlError> {
    let invalid =
        || SqlError::analysis(format!("Invalid replica allocation property: {allocation}"));
    let (tag, number) = allocation.split_once(':').ok_or_else(invalid)?;
    let number = number.split(',').next().unwrap_or_default().trim();
    let tags: Vec<&str> = std::iter::once(tag)
        .chain(allocation.split(',').skip(1))
        .filter_map(|t| t.split(':').next()?.trim().strip_prefix("tag.location."))
        .collect();
    match tags.iter().find(|tag| **tag != "default") {
        Some(tag) => {
            let count = number.parse().map_err(|_| invalid())?;
            Err(too_few_backends(tag, count, "HDD"))
        }
        None if tags.is_empty() => Err(invalid()),
        None => Ok(number.to_owned()),
    }
}

/// Takes the replica number out of `replication_num` or `replication_allocation`.
pub fn take_replicas(properties: &mut Properties, prefix: &str) -> Result<Option<u32>, SqlError> {
    let number = properties.remove(&format!("{prefix}replication_num"));
    let allocation = properties.remove(&format!("{prefix}replication_allocation"));
    let text = match (number, allocation) {
        (None, None) => return Ok(None),
        (_, Some(allocation)) => of_default_tag(&allocation)?,
        (Some(number), None) => number,
    };
    match text.trim().parse::<u32>() {
        Ok(n) if n > 0 => Ok(Some(n)),
        Ok(_) | Err(_) => Err(SqlError::analysis(
            "Replication num should between 1 and 32767",
        )),
    }
}

/// Refuses more replicas than there are backends.
pub fn enough_backends(replicas: u32, backends: usize, medium: &str) -> Result<(), SqlError> {
    if replicas > 0 && backends >= replicas as usize {
        return Ok(());
    }
    Err(too_few_backends("default", replicas, medium))
}

/// What Doris answers when no set of backends can take the replicas of a tag.
pub fn too_few_backends(tag: &str, replicas: u32, medium: &str) -> SqlError {
    SqlError::analysis(format!(
        "Failed to find enough backend, please check the replication num,replication tag and storage medium and avail \
         capacity of backends or maybe all be on same host.\nCreate failed replications:\nreplication tag: \
         {{\"location\" : \"{tag}\"}}, replication num: {replicas}, storage medium: {medium}"
    ))
}
