package integration

import "fmt"

func refusedRepairs() []specCase {
	const wantAfter = "after must be a duration such as 5m, 1h30m or 0s"
	cases := []specCase{
		{"an unknown mode of repair", `{repair: {mode: Never}}`, "Unsupported value"},
	}
	for _, value := range []string{"-1s", "5", "", "1d", "1.5h", "500ms", "1m1h", "9999999h"} {
		cases = append(cases, specCase{
			fmt.Sprintf("repair after %q", value), fmt.Sprintf(`{repair: {after: %q}}`, value), wantAfter,
		})
	}
	return cases
}

func acceptedRepairs() []specCase {
	return []specCase{
		{name: "repair by itself", spec: `{repair: {mode: Automatic}}`},
		{name: "repair by a person", spec: `{repair: {mode: Manual, after: 0s}}`},
		{name: "repair after a while", spec: `{repair: {after: 1h30m0s}}`},
	}
}
