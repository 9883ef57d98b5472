package cloud

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// Impaired lists the running instances of the account of which a status check fails, those of
// the instance or those of the system below it, in order. It takes two calls and a page for
// each thousand of them, however many instances there are.
func (r *Reader) Impaired(ctx context.Context) ([]string, error) {
	var ids []string
	for _, check := range [...]string{"instance-status.status", "system-status.status"} { // filters of one call must all hold
		in := &ec2.DescribeInstanceStatusInput{
			Filters: []ec2types.Filter{{Name: aws.String(check), Values: []string{"impaired"}}}, MaxResults: aws.Int32(ec2Page),
		}
		for {
			out, err := call(ctx, r.ec2.DescribeInstanceStatus, in)
			if err != nil {
				return nil, fmt.Errorf("describe instances of which %s is impaired: %w", check, err)
			}
			for i := range out.InstanceStatuses {
				ids = append(ids, text(out.InstanceStatuses[i].InstanceId))
			}
			if in.NextToken = out.NextToken; text(in.NextToken) == "" {
				break
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
