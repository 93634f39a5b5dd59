import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.StringJoiner;

/**
 * TdsQuery URL PASSWORD SQL PORT...: asks what listens on each PORT, which is
 * put in for % in the URL of jTDS; a line for each: the port and the row, or
 * "error", SQLSTATE, the server's number and why.
 */
public class TdsQuery {
	public static void main(String[] args) {
		for (int i = 3; i < args.length; i++) {
			String said;
			try {
				said = ask(args[0].replace("%", args[i]), args);
			} catch (SQLException error) {
				said = "error " + error.getSQLState() + " " +
				       error.getErrorCode() + " " +
				       error.getMessage();
			}
			System.out.println(args[i] + " " +
					   said.replaceAll("\\s+", " "));
		}
		System.exit(0);
	}

	private static String ask(String url, String[] args)
			throws SQLException {
		StringJoiner row = new StringJoiner("|");
		try (Connection connection = DriverManager.getConnection(
				url, "app", args[1]);
		     Statement statement = connection.createStatement();
		     ResultSet result = statement.executeQuery(args[2])) {
			int columns = result.getMetaData().getColumnCount();
			result.next();
			for (int i = 1; i <= columns; i++)
				row.add(result.getString(i));
		}
		return row.toString();
	}
}
