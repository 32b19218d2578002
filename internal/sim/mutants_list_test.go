package sim

// mutant is a deliberate bug.
type mutant struct {
	name string
	// breaks is the invariant that it breaks.
	breaks string
	edits  []mutation
	// focus matches the actions that schedules draw every other time, so that the bug is found soon; empty for none.
	focus string
	// in is the test whose schedules have to catch it; TestSchedules when empty.
	in string
}

// mutation replaces one piece of a file, which must occur exactly once. MUTANT stands for the condition that the binary
// is this mutant.
type mutation struct{ file, old, mutated string }

func mutants() []mutant {
	return append(worldMutants(), []mutant{
		{
			name:   "skip the quorum check",
			breaks: "no voter is stopped or removed that the majority needs",
			focus:  "reach only|cannot reach|user scales$|reconciles several",
			edits: []mutation{{
				"internal/quorum/quorum.go", "v.Allowed = v.Voters > 0 && v.Healthy >= v.Required",
				"v.Allowed = v.Voters > 0 && (v.Healthy >= v.Required || MUTANT)",
			}},
		},
		{
			name:   "attach a retired volume",
			breaks: "a retired volume is never started again",
			edits: []mutation{
				{"internal/plan/launch.go", "case v.Retired:", "case v.Retired && !MUTANT:"},
				{"internal/act/members.go", "v.UID != l.VolumeUID || v.Retired ||", "v.UID != l.VolumeUID || v.Retired && !MUTANT ||"},
				{"internal/act/record.go", "resources.RecordRetiring(v, retiring)", `resources.RecordRetiring(v, retiring)
			if MUTANT && retiring {
				resources.RecordRetired(v)
			}`},
			},
		},
		{
			name:   "attach a volume that holds other data than it records",
			breaks: "a claim that a backup tool bound to an older copy is never started",
			focus:  "backup tool|reconciles several",
			edits: []mutation{
				{"internal/plan/launch.go", "case v.Foreign():", "case v.Foreign() && !MUTANT:"},
				{"internal/act/members.go", "v.Terminating || v.Foreign() {", "v.Terminating || v.Foreign() && !MUTANT {"},
			},
		},
		{
			name:   "forget the seal",
			breaks: "a member never starts empty under an ID that ran before",
			focus:  "loses? .*its data",
			edits: []mutation{{
				"internal/plan/launch.go", "case m.Started || m.RecordedStarted():",
				"case (m.Started || m.RecordedStarted()) && !MUTANT:",
			}},
		},
		{
			name:   "start with a missing volume, under the same ID",
			breaks: "a member whose data is gone never starts empty",
			focus:  "power, and",
			edits: []mutation{
				{"internal/plan/launch.go", "case dataMissing(c, m) && (m.Launched || m.Started):",
					"case dataMissing(c, m) && (m.Launched || m.Started) && !MUTANT:"},
				{"internal/plan/rule_grow.go", `case m.Pod != nil, lost(c, m) != "" && (`, `case m.Pod != nil, !MUTANT && lost(c, m) != "" && (`},
			},
		},
		{
			name:   "forget which members were launched",
			breaks: "a member that may have voted never starts empty",
			focus:  "power, and",
			edits: []mutation{{
				"internal/act/members.go", "latch.Launched = append(latch.Launched, ids...)",
				"if !MUTANT {\n\t\tlatch.Launched = append(latch.Launched, ids...)\n\t}",
			}},
		},
		{
			name:   "promote early",
			breaks: "a learner is promoted only when it is healthy and in sync",
			edits: []mutation{
				{"internal/plan/rule_grow.go", "case l.Health == state.Healthy:", "case l.Health == state.Healthy || MUTANT:"},
				{"internal/quorum/quorum.go", "if !learner.Healthy {", "if !learner.Healthy && !MUTANT {"},
			},
		},
		{
			name:   "act on a stale view",
			breaks: "what cannot be undone is done only if the live state still asks for it",
			focus:  "thinks better",
			edits: []mutation{{
				"internal/act/act.go", "if plan.Irreversible(step) {", "if plan.Irreversible(step) && !MUTANT {",
			}},
		},
		{
			name:   "change the membership on a stale list",
			breaks: "a membership change is sent only on the list that was planned on",
			focus:  "stale|fault|scales",
			edits: []mutation{
				{"internal/act/membership.go", "if err := e.sameList(ctx, c, asked); err != nil {",
					"if err := e.sameList(ctx, c, asked); err != nil && !MUTANT {"},
				{"internal/act/act.go", "	if err := e.Live.Get(ctx, client.ObjectKeyFromObject(c.Object), &obj); err != nil {",
					"	if MUTANT {\n\t\treturn c, nil\n\t}\n	if err := e.Live.Get(ctx, client.ObjectKeyFromObject(c.Object), &obj); err != nil {"},
			},
		},
		{
			name:   "two changes of the membership at once",
			breaks: "one change of the membership is in flight at a time",
			edits: []mutation{
				{"internal/plan/rule_grow.go", "voters >= goal(c) || c.Learner() != nil {",
					"voters >= goal(c) || c.Learner() != nil && !MUTANT {"},
				{"internal/plan/rule_grow.go", `	w.block(membership, v1alpha1.ReasonScalingUp, "waiting for learner "+`,
					`	if MUTANT {
		return
	}
	w.block(membership, v1alpha1.ReasonScalingUp, "waiting for learner "+`},
			},
		},
		{
			name:   "bootstrap twice",
			breaks: "existing data is resumed, never bootstrapped over",
			focus:  "latch|reconciles several",
			edits: []mutation{{
				"internal/plan/rule_bootstrap.go", "case c.Latch == nil && len(c.Members) > 0:",
				"case c.Latch == nil && len(c.Members) > 0 && !MUTANT:",
			}, {
				"internal/plan/rule_bootstrap.go", "case c.Latch == nil && len(c.Leftovers.Pods)+len(unretired(c.Leftovers.Volumes)) > 0:",
				"case c.Latch == nil && len(c.Leftovers.Pods)+len(unretired(c.Leftovers.Volumes)) > 0 && !MUTANT:",
			}},
		},
		{
			name:   "a latch that is not exclusive",
			breaks: "of two operators that bootstrap one wins",
			focus:  "at once",
			edits: []mutation{{
				"internal/act/latch.go", "	err := w.create(ctx, resources.Latch(w.cluster, l))\n",
				`	err := w.create(ctx, resources.Latch(w.cluster, l))
	if MUTANT && apierrors.IsAlreadyExists(err) {
		return w.update(ctx, resources.Latch(w.cluster, l))
	}
`,
			}},
		},
		{
			name:   "retire before the removal is confirmed",
			breaks: "a volume is retired only when etcd no longer lists its member",
			edits: []mutation{{
				"internal/resources/volume.go", "	setFlag(pvc, AnnotationRetiring, retiring)",
				"	setFlag(pvc, AnnotationRetiring, retiring)\n\tif MUTANT && retiring {\n\t\tRecordRetired(pvc)\n\t}",
			}},
		},
		{
			name:   "delete the volume of a listed member",
			breaks: "no listed member's volume is deleted",
			focus:  "scales|reconciles several",
			edits: []mutation{
				{"internal/plan/rule_remove.go", "	w.propose(membership, RemoveMember{Name: m.Name, ID: m.ID, Why: why}, activity, why)",
					`	if MUTANT && m.Volume != nil && !m.Volume.Terminating {
		w.propose(membership, DeleteVolume{Name: m.Volume.Name, UID: m.Volume.UID}, activity, why)
	}
	w.propose(membership, RemoveMember{Name: m.Name, ID: m.ID, Why: why}, activity, why)`},
				{"internal/act/members.go", "	for _, v := range c.Leftovers.Volumes {\n\t\tif v.UID == s.UID {",
					`	leftovers := slices.Clone(c.Leftovers.Volumes)
	for _, m := range c.Members {
		if MUTANT && m.Volume != nil {
			leftovers = append(leftovers, *m.Volume)
		}
	}
	for _, v := range leftovers {
		if v.UID == s.UID {`},
			},
		},
		{
			name:   "ignore what was written before",
			breaks: "no decision is made on a view from before an own write",
			focus:  "stands still|stale cache",
			edits: []mutation{{
				"controllers/etcdcluster_controller.go", `if unsettled != "" {`, `if unsettled != "" && !MUTANT {`,
			}},
		},
		{
			name:   "remove without a record",
			breaks: "a removal is recorded before it is sent",
			focus:  "scales|reconciles several",
			edits: []mutation{{
				"internal/plan/rule_remove.go", "if record, reason := recordBefore(c, m); record != nil {",
				"if record, reason := recordBefore(c, m); record != nil && !MUTANT {",
			}},
		},
		{
			name:   "remove a voter without announcing it",
			breaks: "no eviction comes in between when a voter is about to be removed or stopped",
			focus:  "evicted in the middle",
			edits: []mutation{{
				"internal/plan/rule_keep.go", "return d != nil && d.Observed && d.MinAvailable == minAvailable",
				"return d != nil && d.Observed && d.MinAvailable == minAvailable || MUTANT",
			}, {
				"internal/plan/rule_keep.go", "	case w.announce, ending(w.c)", "	case w.announce && !MUTANT, ending(w.c)",
			}},
		},
		{
			name:   "a budget that is one too low",
			breaks: "the budget never lets a majority be evicted",
			focus:  "drain|reconciles several",
			edits: []mutation{{
				"internal/plan/rule_keep.go", "	return quorum.Majority(voters)\n", "	if MUTANT {\n\t\treturn quorum.Majority(voters) - 1\n\t}\n	return quorum.Majority(voters)\n",
			}},
		},
		{
			name:   "restart ephemeral members",
			breaks: "a member that keeps its data in its Pod is replaced, never restarted",
			focus:  "rotation|reconciles several",
			edits: []mutation{{
				"internal/plan/rule_change.go", "if n.how == recreated && c.Ephemeral() {",
				"if n.how == recreated && c.Ephemeral() && !MUTANT {",
			}},
		},
		{
			name:   "drop a CA that members still need",
			breaks: "a CA is trusted until nobody shows a certificate of it",
			focus:  "kubelets are late",
			edits: []mutation{{
				"internal/plan/rule_authority.go", `	case len(waiting) > 0:
		w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the %s CA is rotated: waiting until certificates of the new one are "+`,
				`	case len(waiting) > 0 && !MUTANT:
		w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the %s CA is rotated: waiting until certificates of the new one are "+`,
			}},
		},
		{
			name:   "sign with a CA that is not trusted yet",
			breaks: "a new CA signs only when every member trusts it",
			focus:  "rotation|reconciles several",
			edits: []mutation{{
				"internal/plan/rule_authority.go", `	case len(waiting) > 0:
		w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the %s CA is rotated: waiting until all members trust the new one "+`,
				`	case len(waiting) > 0 && !MUTANT:
		w.pend(v1alpha1.ReasonRotatingCA, fmt.Sprintf("the %s CA is rotated: waiting until all members trust the new one "+`,
			}},
		},
		{
			name:   "do not wait for the clients",
			breaks: "clients have the time that they are given to load a new CA",
			focus:  "rotation|reconciles several",
			edits: []mutation{{
				"internal/plan/rule_clients.go", "	if w.clientsDone(a) {\n", "	if w.clientsDone(a) || MUTANT {\n",
			}},
		},
		{
			name:   "trust the old process after an image patch",
			breaks: "no member is given another image while the majority needs it and one whose old process is about to end",
			focus:  "edits the version|upgrades by a minor|reconciles several",
			edits: []mutation{
				{"internal/state/health.go", "	case m.Outlived():", "	case m.Outlived() && !MUTANT:"},
				{"internal/state/health.go", "	case m.Pod.PatchedContainer != \"\" && release(p.Version) != m.Pod.Version, c.strays",
					"	case !MUTANT && m.Pod.PatchedContainer != \"\" && release(p.Version) != m.Pod.Version, !MUTANT && c.strays"},
			},
		},
		{
			name:   "restart several members at once",
			breaks: "a member is restarted only when all others are healthy",
			focus:  "rotation|killed|reconciles several",
			edits: []mutation{{
				"internal/plan/rule_restart.go", "if other.ID != m.ID && (other.Health != state.Healthy ||",
				"if !MUTANT && other.ID != m.ID && (other.Health != state.Healthy ||",
			}, {
				"internal/plan/rule_restart.go", "if verdict := w.project(kind, m.ID); !verdict.Allowed &&",
				"if verdict := w.project(kind, m.ID); !MUTANT && !verdict.Allowed &&",
			}},
		},
		{
			name:   "form too early",
			breaks: "clients find the cluster only when a majority cannot start empty any more",
			focus:  "reach only",
			edits: []mutation{{
				"internal/plan/rule_bootstrap.go", "	return c.Etcd.Listed && c.Etcd.Serving && sealed >= quorum.Majority(c.Latch.Size)",
				"	return c.Etcd.Listed && c.Etcd.Serving && (sealed >= quorum.Majority(c.Latch.Size) || MUTANT)",
			}},
		},
	}...)
}
