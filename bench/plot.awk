BEGIN { print "<svg/>" }
