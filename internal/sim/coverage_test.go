package sim

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/plan"
)

// longRun is the number of schedules from which on everything has to have happened.
const longRun = 1000

// noRecovery is why no schedule recovers from a lost quorum.
const noRecovery = "TestRecoveries has schedules of its own; internal/act tests a recovery with a crash before every write"

// unreached are rules and steps that hardly any schedule reaches (less than one in a hundred), each with the reason.
var unreached = map[string]string{
	"rule recovery":          noRecovery,
	"step BeginRecovery":     noRecovery,
	"step Salvage":           noRecovery,
	"step RecordSalvaged":    noRecovery,
	"step SwitchCluster":     noRecovery,
	"step KeepFormerVolumes": noRecovery,
	"step FinishRecovery":    noRecovery,

	"rule deleting":                "the model of Kubernetes deletes an EtcdCluster at once; the end-to-end tests see it go",
	"rule stray volumes":           "nobody creates an ephemeral cluster in the place of one with volumes",
	"rule invalid spec":            "the schema refuses what is not valid by itself",
	"rule transport":               "nobody turns TLS on or off",
	"rule wrong cluster ID":        noIntruder,
	"rule unmanaged member":        noIntruder,
	"rule authentication required": noIntruder,
	"rule alarms":                  "no member's data differs from the others'; internal/plan has tables",
	"rule outliving containers":    "it has nothing to say: it keeps the budget raised",
	"rule preferred leader":        "nobody asks for a leader",
	"step RequestCertificates":     "nobody uses cert-manager; the end-to-end tests do",
	"step RecordVolumeVersion":     noFormer,
	"step RecordSizeInSpec":        noFormer,
	"step Compact":                 "history alone seldom fills a quota; the schedules of a mutant are focused on it",
}

const (
	noIntruder = "nobody changes etcd itself behind the operator; internal/plan has tables"
	noFormer   = "no object was left by a former release; controllers/testdata has some"
)

// checkCoverage fails for every rule, step, fault and action that never happened, and for those that are said not to.
func checkCoverage(t *testing.T, seen *coverage) {
	t.Helper()
	for _, name := range plan.Rules() {
		checkReached(t, seen, "rule", name, seen.rules[name])
	}
	for _, name := range stepTypes(t) {
		checkReached(t, seen, "step", name, seen.steps[name])
	}
	for _, f := range allFaults() {
		checkReached(t, seen, "fault", f.String(), seen.faults[f.String()])
	}
	for _, ephemeral := range []bool{true, false} {
		w := newWorld(1)
		create(w, 1, ephemeral)
		for _, a := range actionsOf(w, ephemeral) {
			checkReached(t, seen, "action", a.name, seen.actions[a.name])
		}
	}
}

func checkReached(t *testing.T, seen *coverage, kind, name string, times int) {
	t.Helper()
	switch reason, known := unreached[kind+" "+name]; {
	case times == 0 && !known:
		t.Errorf("%s %q never happened: have the schedules reach it, or list it with the reason why they cannot", kind, name)
	case times >= seen.schedules/100 && known:
		t.Errorf("%s %q happened %d times, although it is listed as unreached (%s): take it off the list", kind, name, times,
			reason)
	}
}

// stepTypes are the names of all types of steps, read from the plan's source so that none can be forgotten here.
func stepTypes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../plan/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, isFunc := d.(*ast.FuncDecl)
			if !isFunc || f.Name.Name != "step" || f.Recv == nil || strings.HasSuffix(file, "_test.go") {
				continue
			}
			if receiver, named := f.Recv.List[0].Type.(*ast.Ident); named {
				names = append(names, receiver.Name)
			}
		}
	}
	if len(names) < 30 {
		t.Fatalf("found only the steps %v", names)
	}
	return names
}

// allFaults are one of each kind.
func allFaults() []fault {
	list := []fault{
		{crash: true}, {crash: true, after: true}, {what: etcd.DropRequest}, {what: etcd.LoseReply}, {other: true}, {evicted: 1},
	}
	for _, how := range refusals() {
		list = append(list, fault{refusal: how})
	}
	return list
}
