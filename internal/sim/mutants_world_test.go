package sim

// worldMutants break what protects the data against versions, full databases and recoveries.
func worldMutants() []mutant {
	return []mutant{
		{
			name:   "take up any version during the bootstrap",
			breaks: "until a quorum was seen all members run one minor",
			focus:  "edits the version|fault|reconciles$|killed",
			edits: []mutation{{
				"internal/plan/bootstrap_version.go", "	if ran == \"\" ||", "	if MUTANT || ran == \"\" ||",
			}},
		},
		{
			name:   "upgrade without a snapshot",
			breaks: "etcd 3.7 never starts on a log of 3.5",
			focus:  "upgrades by a minor",
			edits: []mutation{{
				"internal/plan/rule_snapshot.go", "	for _, m := range c.Members {\n\t\tif !slices.Contains(c.Latch.Snapshots",
				"	for _, m := range c.Members {\n\t\tif !MUTANT && !slices.Contains(c.Latch.Snapshots",
			}},
		},
		{
			name:   "disarm at once",
			breaks: "an alarm is disarmed only when every member has room to spare",
			focus:  "fills",
			edits: []mutation{{
				"internal/plan/rule_nospace.go", "	if len(above) == 0 {\n\t\tw.disarm(raised)", "	if len(above) == 0 || MUTANT {\n\t\tw.disarm(raised)",
			}},
		},
		{
			name:   "compact without permission",
			breaks: "history is dropped only where the spec permits it",
			focus:  "fills",
			edits: []mutation{{
				"internal/state/space.go", "return ptr.Deref(c.Maintenance().CompactOnNoSpace, false) }",
				"return ptr.Deref(c.Maintenance().CompactOnNoSpace, false) || MUTANT }",
			}},
		},
		{
			name:   "defragment the leader",
			breaks: "a member is defragmented only after it has handed over",
			focus:  "fills|deletes data",
			edits: []mutation{{
				"internal/plan/rule_defragmentation.go", "	if w.c.Etcd.Leader == m.ID && len(w.c.Voters()) > 1 {",
				"	if w.c.Etcd.Leader == m.ID && len(w.c.Voters()) > 1 && !MUTANT {",
			}},
		},
		{
			name:   "raise the quota ahead of the volumes",
			breaks: "a quota is never above what the volume can hold",
			focus:  "size of the volumes|volumes can be expanded",
			edits: []mutation{{
				"internal/plan/volume_sizes.go", "		if usable := m.Volume.Usable(); smallest == 0 || usable < smallest {",
				"		usable := m.Volume.Usable()\n\t\tif MUTANT {\n\t\t\tusable = m.Volume.Request\n\t\t}\n\t\tif smallest == 0 || usable < smallest {",
			}},
		},
		{
			name:   "recover without consent",
			breaks: "nothing is done about a lost quorum before the user agrees to exactly that",
			in:     "TestRecoveries",
			edits: []mutation{{
				"internal/plan/rule_quorum_loss.go", "	case consent.QuorumLossID != loss.ID:",
				"	case consent.QuorumLossID != loss.ID && !MUTANT:",
			}, {
				"internal/plan/rule_quorum_loss.go", "	case len(unconfirmed) > 0:", "	case len(unconfirmed) > 0 && !MUTANT:",
			}},
		},
		{
			name:   "start the new cluster beside the lost one",
			breaks: "nothing of a lost cluster runs when its data is salvaged, or beside the new cluster",
			in:     "TestRecoveries",
			edits: []mutation{{
				"internal/plan/rule_recovery.go", "	case w.fence(r):", "	case !MUTANT && w.fence(r):",
			}},
		},
	}
}

// schedules is the test that has to catch the mutant.
func (m mutant) schedules() string {
	if m.in == "" {
		return "TestSchedules"
	}
	return m.in
}
