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
	}
}
