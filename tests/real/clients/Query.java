import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.StringJoiner;

/** Query URL SQL [SECONDS]: prints the row, or why there is none. */
public class Query {
	public static void main(String[] args) {
		try (Connection connection = DriverManager.getConnection(args[0]);
		     Statement statement = connection.createStatement()) {
			if (args.length > 2) /* the driver cancels by itself */
				statement.setQueryTimeout(Integer.parseInt(args[2]));
			try (ResultSet result = statement.executeQuery(args[1])) {
				print(result);
			}
		} catch (SQLException error) {
			System.out.println("error " + error.getSQLState() + " " +
				error.getMessage());
		}
	}

	private static void print(ResultSet result) throws SQLException {
		StringJoiner row = new StringJoiner("|");
		int columns = result.getMetaData().getColumnCount();
		result.next();
		for (int i = 1; i <= columns; i++)
			row.add(result.getString(i));
		System.out.println(row);
	}
}
