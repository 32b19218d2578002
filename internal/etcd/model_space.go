package etcd

// Delete deletes the key that Overwrite writes, through the member in the Pod: what it held stays as history until a
// compaction. Deletions are accepted also while the quota is reached.
func (m *Model) Delete(podUID string) error {
	p, err := m.serving(podUID)
	if err != nil {
		return err
	}
	leader := m.leaderFor(p)
	if leader == nil || !m.propose(leader, &entry{kind: entryOverwrite}) {
		return errTimedOut
	}
	return nil
}

// Space tells how large the member's database file is and may become, in bytes, and the latest revision of its data;
// false when no process runs in the Pod.
func (m *Model) Space(podUID string) (file, quota, revision int64, running bool) {
	p := m.pods[podUID]
	if p == nil || p.ended {
		return 0, 0, 0, false
	}
	return p.disk.file, p.quota(), p.disk.view.store.revision(), true
}

// Alarms that are raised in a cluster.
func (m *Model) Alarms(clusterID uint64) []Alarm { return m.alarms[clusterID] }
