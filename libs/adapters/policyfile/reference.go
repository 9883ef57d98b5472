package policyfile

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// Reference describes every field of a policy as Markdown, made from its Go types.
func Reference() []byte {
	var b bytes.Buffer
	b.WriteString("# Policy reference\n\n" +
		"A policy is one YAML document per cluster: what its owner allows Neap to do and wants it to keep. Unknown keys are errors.\n" +
		"[examples/policy.yaml](examples/policy.yaml) is one to start from; `neap policy validate -o yaml FILE` prints a policy with\n" +
		"every default filled in, `neap policy schema` the JSON Schema.\n\n" +
		"| field | type | meaning |\n|---|---|---|\n")
	refer(&b, "", reflect.TypeFor[fleet.Policy]())
	b.WriteString("\nFields of a launch spec that are not set are taken from the first launch spec, but for `name`, `attributes`, the limits\n" +
		"(`minInstances`, `maxInstances`, `maxVCPUs`, `maxMemoryGiB`), `scaleDown` and `drain`.\n" +
		"Every instance carries the ECS attributes `" + fleet.AttributeLifecycle + "` (on-demand or spot), `" + fleet.AttributeLaunchSpec + "` and, for constraints\n" +
		"written for another product, `" + fleet.AttributeLifecycleAlias + "` (od or spot). A service that must not run on spot says so with the placement\n" +
		"constraint `memberOf(attribute:" + fleet.AttributeLifecycle + " == on-demand)`.\n")
	b.WriteString(orientations)
	return b.Bytes()
}

// orientations says what the orientations of a launch spec mean; see [fleet.Orientation].
const orientations = `
## Orientation

An orientation weighs a low price against a spot instance that stays. A spot pool (type, zone) whose price is near the
on-demand price is in short supply, and so is one from which AWS is taking instances back or that had none to give: it is
the likelier to interrupt what runs there. So spot pools are compared by ` + "`price + weight × price × risk`" + `, where the risk is
the share of the on-demand price that spot costs there, and 1 for a pool that shows trouble. On-demand prices are taken as
they are. A launch names further offerings beside the chosen one, so that EC2 can pick the one with capacity; each of them
holds what the instance is for, and costs at most the premium more.

| orientation | weight | premium | for |
|---|---|---|---|
| ` + "`cheapest`" + ` | 0 | 0 % | work that may be interrupted at any time: the lowest price counts, and nothing else |
| ` + "`costOriented`" + ` | ¼ | 2 % | work that is restarted easily |
| ` + "`balanced`" + ` | 1 | 5 % | the default |
| ` + "`availability`" + ` | 4 | 25 % | work that an interruption hurts: pools that are in good supply, and many of them |

` + "`preferredTypes`" + ` come before the orientation: another type is launched only if it saves more than a fifth.

## Surge

While a service is deployed, ECS may run more than its desired count: up to its maximum percentage. With ` + "`scaleUp.surge: full`" + `
Neap launches for all of these tasks, and the deployment is as fast as it can be. With ` + "`progress`" + ` it launches for none
where the minimum percentage lets ECS stop a task before it starts another, and elsewhere for one at a time.

## Standalone tasks

A standalone task that finds no room is not kept by ECS: RunTask says so in its answer, and that is all. With an event queue that
gets EventBridge's events of ECS, those of CloudTrail about RunTask included (detail type AWS API Call via CloudTrail, source
aws.ecs), Neap launches for what was refused, and keeps the room until a like task is started, for ` + "`scaleUp.standaloneFor`" + ` at
most. Who wants the task has to ask again. The same call again counts once, calls within two seconds count each.

## Windows

A launch spec whose image is named as a Windows image (` + "`/aws/service/ami-windows-latest/…-ECS_Optimized/image_id`" + `), or that says
` + "`operatingSystem: windows`" + ` of an image ID or a launch template, launches Windows: for tasks that ask for it (runtimePlatform, or a
constraint on ecs.os-type or ecs.os-family), at prices with its licence, which are read from AWS and not built in, and with
` + "`boot.windowsTimeout`" + ` to register. Its ` + "`userData`" + ` is PowerShell. From a first launch spec for Linux it does not take over images, user
data, volumes, reserved memory and trunking.

## Volumes

A volume of ` + "`blockDevices`" + ` has ` + "`sizeGiB` + `perVCPUGiB` × vCPUs + `perMemoryGiB`" + ` × GiB of memory as it registers, rounded up: room
for more images and containers on larger instances.

## Headroom

` + "`units`, `percentage` and `automaticPercentage`" + ` add up. A unit counts only if it is free as a whole on one instance, running or
booting; units that are missing are launched for. Automatic headroom is in units like the tasks of the services that scaled
out most lately (each task by which a desired count rose counts for one, half of it a day later), where the constraints of
these services let them run; until one has scaled out it is in units of the mean task. A window of ` + "`schedule`" + ` that
holds stands in the place of what it sets.

## Times of the week

` + "`scaleDown.windows`, `scaleDown.blackouts`, `schedules.shutdown`, `limits.schedule` and `headroom.schedule`" + ` are times of the week. A
window is on the clocks of its ` + "`timeZone`" + ` and moves with daylight saving time there. It begins on each of its days and ends on the
same day, on the next if ` + "`to`" + ` is not after ` + "`from`" + `, or on ` + "`toDay`" + `: ` + "`{days: [fri], from: \"20:00\", to: \"07:00\", toDay: mon, timeZone: Europe/Berlin}`" + `
is the weekend in Berlin. The zones and their rules are those of the build, not of the machine.

Outside of ` + "`scaleDown.windows`" + ` and within ` + "`scaleDown.blackouts`" + ` no instance is removed or replaced by Neap's own will. What AWS takes
back is drained and replaced at any time, and launches for tasks and headroom go on.

## Shutdown

Within ` + "`schedules.shutdown`" + ` the cluster goes down to no instance at all: minimum, headroom, budgets, windows, waits and the percentages
of services do not count. All instances drain at once; ECS has nowhere to move their tasks to, and so these are stopped after the
drain timeout. Nothing is launched, and what waits causes launches when the shutdown is over. What is protected or tagged to keep
its instance, and standalone tasks unless ` + "`scaleDown.standaloneTasks`" + ` gives them up, keep their instance until they end.
`

func refer(b *bytes.Buffer, prefix string, t reflect.Type) {
	for f := range t.Fields() {
		if f.Anonymous { // its fields stand among the others
			refer(b, prefix, f.Type)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		path := prefix + name
		inner, kind := f.Type, describeType(f.Type)
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
				path += "[]"
			}
			inner = inner.Elem()
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", path, kind, f.Tag.Get("desc"))
		if inner.Kind() == reflect.Struct {
			refer(b, path+".", inner)
		}
	}
}

// describeType names a type as YAML has it.
func describeType(t reflect.Type) string {
	if t == reflect.TypeFor[fleet.Duration]() {
		return "duration"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return describeType(t.Elem())
	case reflect.Slice:
		return "list of " + describeType(t.Elem())
	case reflect.Map:
		return "map"
	case reflect.Struct:
		return "object"
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	default:
		return "text"
	}
}
