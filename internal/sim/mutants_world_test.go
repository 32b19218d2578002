package sim

// worldMutants break what protects the data against versions, full databases and recoveries.
func worldMutants() []mutant {
	return []mutant{
		{
			name:   "take up any version during the bootstrap",
			breaks: "until a quorum was seen all members run one minor",
			focus:  "edits the version|fault|reconciles$|killed",
			edits: []mutation{{
				"internal/plan/bootstrap_version.go", "|| !mayHaveRun(c) {", "|| !mayHaveRun(c) || MUTANT {",
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
	}
}
